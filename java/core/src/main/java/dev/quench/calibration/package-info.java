/** Calibration data, and what is observed of it. */
@NullMarked
package dev.quench.calibration;

import org.jspecify.annotations.NullMarked;
