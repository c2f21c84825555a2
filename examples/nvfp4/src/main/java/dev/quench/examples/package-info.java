/** Programs that use Quench as a library. */
@NullMarked
package dev.quench.examples;

import org.jspecify.annotations.NullMarked;
