/**
 * compressed-tensors on disk: which tensors a compressed weight becomes, and how to read them back.
 */
@NullMarked
package dev.quench.format;

import org.jspecify.annotations.NullMarked;
