/** The jobs: compress, evaluate, compare, inspect, verify. */
@NullMarked
package dev.quench.pipeline;

import org.jspecify.annotations.NullMarked;
