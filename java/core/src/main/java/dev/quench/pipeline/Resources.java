package dev.quench.pipeline;

import java.nio.file.Path;

/**
 * What a job may use.
 *
 * @param activationMemory bytes of activations that are held in memory; more goes to a file
 * @param spillFolder where that file is made, and removed
 */
public record Resources(long activationMemory, Path spillFolder) {}
