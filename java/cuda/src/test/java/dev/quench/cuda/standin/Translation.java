package dev.quench.cuda.standin;

import java.util.List;

/**
 * A module in C++.
 *
 * @param untranslated instructions without a meaning; reaching one ends the launch with its name
 * @param barriers barriers and waits in the order of the text, which {@link Mutation#removeBarrier}
 *     counts
 */
record Translation(String cpp, List<String> untranslated, List<String> barriers) {}
