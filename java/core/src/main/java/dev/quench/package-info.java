/** Quench: compression of large language models on the JVM. */
@NullMarked
package dev.quench;

import org.jspecify.annotations.NullMarked;
