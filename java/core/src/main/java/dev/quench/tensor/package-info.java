/** Element types, shapes and tensors in host memory. Depends on nothing else of Quench. */
@NullMarked
package dev.quench.tensor;

import org.jspecify.annotations.NullMarked;
