/** What a running job tells about itself. */
@NullMarked
package dev.quench.progress;

import org.jspecify.annotations.NullMarked;
