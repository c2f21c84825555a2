package dev.quench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** The program in a process of its own, as a user starts it. */
final class Quench implements AutoCloseable {
  private static final long TIMEOUT_SECONDS = 120;

  /**
   * For runs that end at a bad input: less time to start. They compute next to nothing, so that the
   * optimizing compiler would have nothing to do.
   */
  private static final List<String> QUICK_START =
      List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC");

  /** What a run that ended left. */
  record Result(int code, String out, String err) {
    /** Lines on stderr. */
    List<String> errorLines() {
      return err.lines().toList();
    }

    /** Checks the code of a run that did its job, and that it complained about nothing. */
    Result succeeded() {
      assertThat(code).as(err).isZero();
      assertThat(err).doesNotContain("quench: error").doesNotContain("\tat ");
      return this;
    }

    /**
     * Checks that the run failed with this code and one sentence, which contains these parts, and
     * no stack trace.
     */
    Result failed(int expected, String... parts) {
      assertThat(code).as("%s%s", out, err).isEqualTo(expected);
      assertThat(err).doesNotContain("\tat ").doesNotContain("unexpected failure");
      assertThat(errorLines().stream().filter(line -> line.startsWith("quench: error: ")))
          .as(err)
          .singleElement()
          .asString()
          .contains(parts)
          .matches("(?s).*[.?]");
      return this;
    }
  }

  private final Process process;
  private final Path out;
  private final BufferedReader errors;
  private final StringBuilder read = new StringBuilder();

  private Quench(Process process, Path out) {
    this.process = process;
    this.out = out;
    this.errors = process.errorReader(StandardCharsets.UTF_8);
  }

  /** Runs a command to its end, with the optimizing compiler. */
  static Result run(Object... args) {
    return run(command(List.of(), args));
  }

  /** The same with variables of the environment set. */
  static Result runWith(Map<String, String> environment, Object... args) {
    try (Quench running = start(environment, command(List.of(), args))) {
      return running.await();
    }
  }

  /** Runs a command that ends soon, at an input that can't be used. */
  static Result runShort(Object... args) {
    return run(command(QUICK_START, args));
  }

  /** Runs a command line to its end. */
  static Result run(List<String> command) {
    try (Quench running = start(command)) {
      return running.await();
    }
  }

  /** Starts a command. */
  static Quench start(Object... args) {
    return start(command(List.of(), args));
  }

  private static Quench start(List<String> command) {
    return start(Map.of(), command);
  }

  private static Quench start(Map<String, String> environment, List<String> command) {
    try {
      Path out = Files.createTempFile("quench", ".out");
      ProcessBuilder builder = new ProcessBuilder(command);
      builder.environment().remove("JAVA_TOOL_OPTIONS");
      builder.environment().remove("QUENCH_DEBUG");
      builder.environment().putAll(environment);
      return new Quench(builder.redirectOutput(Redirect.to(out.toFile())).start(), out);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The command line that starts the program with these arguments. */
  static List<String> command(Object... args) {
    return command(List.of(), args);
  }

  private static List<String> command(List<String> flags, Object... args) {
    List<String> command = new ArrayList<>();
    // A shell that starts the tests in the background may have made them ignore Ctrl-C.
    command.addAll(List.of("env", "--default-signal=INT"));
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-Xmx512m",
            "-cp",
            System.getProperty("java.class.path")));
    command.addAll(flags);
    command.add(Main.class.getName());
    Stream.of(args).map(Object::toString).forEach(command::add);
    return command;
  }

  /** Reads stderr until a line contains this. */
  Quench awaitLine(String part) {
    try {
      for (String line; (line = errors.readLine()) != null; ) {
        read.append(line).append('\n');
        if (line.contains(part)) {
          return this;
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    throw new AssertionError("ended without \"" + part + "\":\n" + read);
  }

  /** Sends a signal, such as INT. */
  Quench signal(String name) {
    try {
      int code =
          new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start().waitFor();
      assertThat(code).isZero();
      return this;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  /** Waits for the end. */
  Result await() {
    try {
      errors.lines().forEach(line -> read.append(line).append('\n'));
      assertThat(process.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS)).isTrue();
      return new Result(process.exitValue(), Files.readString(out), read.toString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  /** Arguments, with some more at the end. */
  static Object[] with(Object[] args, Object... more) {
    return Stream.concat(Arrays.stream(args), Arrays.stream(more)).toArray();
  }

  /** Kills the process if it still runs. */
  @Override
  public void close() {
    process.destroyForcibly();
    try {
      Files.deleteIfExists(out);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
