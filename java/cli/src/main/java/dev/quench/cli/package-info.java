/** The command line: commands, progress, reports. */
@NullMarked
package dev.quench.cli;

import org.jspecify.annotations.NullMarked;
