/**
 * The CUDA device: memory, streams and kernels through the driver API, matrix products through
 * cuBLAS.
 */
@NullMarked
package dev.quench.cuda;

import org.jspecify.annotations.NullMarked;
