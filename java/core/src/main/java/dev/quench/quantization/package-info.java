/**
 * What a number format is, and what rounding to it means. The scalar code here defines scale, zero
 * point, code and packing once; every device gives the same bytes.
 */
@NullMarked
package dev.quench.quantization;

import org.jspecify.annotations.NullMarked;
