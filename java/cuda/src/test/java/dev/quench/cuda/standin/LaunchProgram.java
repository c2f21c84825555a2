package dev.quench.cuda.standin;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Launches a kernel of a PTX file once, with one block of 64 threads and a buffer: a process of its
 * own for what the stand-in reports at a process's end.
 */
final class LaunchProgram {
  private LaunchProgram() {}

  public static void main(String[] arguments) throws IOException {
    String ptx = Files.readString(Path.of(arguments[0]));
    try (PtxRunner runner = PtxRunner.load(ptx)) {
      runner.launch(arguments[1], 1, 64, 0, runner.buffer(new int[1024]));
    }
  }
}
