/** Places where tensors live and operations run: the scalar reference and the CPU. */
@NullMarked
package dev.quench.device;

import org.jspecify.annotations.NullMarked;
