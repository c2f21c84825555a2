package dev.quench.cuda.standin;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Launches a kernel of a PTX file once, with one block of 64 threads and a buffer of floats, and
 * prints the buffer: a process of its own for what the stand-in takes from the environment, and for
 * what it reports at a process's end.
 */
final class LaunchProgram {
  private static final int SIZE = 1024;

  private LaunchProgram() {}

  /** What the buffer holds before the launch. */
  static float[] before() {
    float[] values = new float[SIZE];
    for (int i = 0; i < SIZE; i++) {
      values[i] = 0.5f + 0.37f * i;
    }
    return values;
  }

  public static void main(String[] arguments) throws IOException {
    String ptx = Files.readString(Path.of(arguments[0]));
    try (PtxRunner runner = PtxRunner.load(ptx)) {
      var values = runner.buffer(before());
      runner.launch(arguments[1], 1, 64, 0, values);
      for (float value : runner.floats(values, SIZE)) {
        System.out.println(value);
      }
    }
  }

  /**
   * Runs this program on the stand-in of this process.
   *
   * @param kernels where the translation of the PTX file is
   * @param setting a variable of its environment, with its value
   * @return the buffer after the launch
   */
  static float[] run(Path ptx, String kernel, Path kernels, String setting, String value)
      throws IOException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder(
            ProcessHandle.current().info().command().orElseThrow(),
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            LaunchProgram.class.getName(),
            ptx.toString(),
            kernel);
    Path standIn = StandIn.requested().orElseThrow().toAbsolutePath();
    builder.environment().put("LD_LIBRARY_PATH", standIn.toString());
    builder.environment().put("STANDIN_KERNELS", kernels.toString());
    builder.environment().put(setting, value);
    builder.redirectError(ProcessBuilder.Redirect.INHERIT);
    Process process = builder.start();
    float[] values = new float[SIZE];
    try (BufferedReader reader = process.inputReader()) {
      for (int i = 0; i < SIZE; i++) {
        String line = reader.readLine();
        if (line == null) {
          throw new IOException("the program ended too early");
        }
        values[i] = Float.parseFloat(line);
      }
    }
    if (process.waitFor() != 0) {
      throw new IOException("the program ended with " + process.exitValue());
    }
    return values;
  }
}
