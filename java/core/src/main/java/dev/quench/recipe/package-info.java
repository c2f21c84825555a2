/**
 * What is to be done to which modules: recipes as users write them, the modules that their targets
 * select, and the {@code quantization_config} that a compressed checkpoint carries. Behaviour
 * reference §1.3 to §1.5, §5.6.
 */
@NullMarked
package dev.quench.recipe;

import org.jspecify.annotations.NullMarked;
