/** Checkpoints on disk: safetensors files, model folders, the writer and its journal. */
@NullMarked
package dev.quench.checkpoint;

import org.jspecify.annotations.NullMarked;
