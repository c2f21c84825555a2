/**
 * The compression algorithms: what is done to the weights of a step, given what was observed of its
 * input.
 */
@NullMarked
package dev.quench.modifier;

import org.jspecify.annotations.NullMarked;
