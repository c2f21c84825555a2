/** Architectures as data, and the forward pass of a decoder, one step at a time. */
@NullMarked
package dev.quench.model;

import org.jspecify.annotations.NullMarked;
