package dev.quench.cli;

import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Options of all commands that write a checkpoint. */
final class OutputOptions {
  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "OUT",
      description = "Folder to make; it must not exist, or be empty.")
  private Path output = Path.of("");

  @Option(
      names = "--max-shard-size",
      defaultValue = "5GB",
      converter = ByteSize.Converter.class,
      paramLabel = "SIZE",
      description = "Most bytes of a weight file (default: ${DEFAULT-VALUE}).")
  private ByteSize maxShardSize = new ByteSize(5_000_000_000L);

  Path folder() {
    return output;
  }

  /** Bytes. */
  long maxShardSize() {
    return maxShardSize.bytes();
  }
}
