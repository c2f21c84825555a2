/**
 * Runs the PTX of the kernels on a CPU: a translator from PTX to C++ and the build of the stand-in
 * driver around it. Test code, never part of a release.
 */
@NullMarked
package dev.quench.cuda.standin;

import org.jspecify.annotations.NullMarked;
