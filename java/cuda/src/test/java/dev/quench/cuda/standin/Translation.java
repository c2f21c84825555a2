package dev.quench.cuda.standin;

import java.util.List;

/**
 * A module in C++.
 *
 * @param untranslated instructions without a meaning; reaching one ends the launch with its name
 * @param barriers barriers, waits and fences in the order of the text, as {@code STANDIN_REMOVE}
 *     counts them
 */
record Translation(String cpp, List<String> untranslated, List<String> barriers) {}
