package dev.quench.cli;

import dev.quench.InvalidInputException;
import dev.quench.QuenchException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.ParseResult;

/**
 * The command line's entry. Exit codes: 0 done, 1 the run failed, 2 wrong usage or input, 3 a
 * quality gate failed.
 */
@Command(
    name = "quench",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    description = "Compresses large language models.")
public final class Main {
  static final int DONE = 0;
  static final int FAILED = 1;
  static final int INVALID = 2;
  static final int GATE = 3;

  private static final String DEBUG = "QUENCH_DEBUG";

  private Main() {}

  /** Prints the version from the jar's manifest. */
  static final class Version implements CommandLine.IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = Main.class.getPackage().getImplementationVersion();
      return new String[] {"quench " + (version == null ? "(development)" : version)};
    }
  }

  public static void main(String[] args) {
    int code = run(args);
    System.out.flush();
    System.exit(code);
  }

  static int run(String... args) {
    CommandLine commandLine = commandLine(args);
    commandLine.setOut(new PrintWriter(System.out, true, StandardCharsets.UTF_8));
    commandLine.setErr(new PrintWriter(System.err, true, StandardCharsets.UTF_8));
    commandLine.setCaseInsensitiveEnumValuesAllowed(true);
    commandLine.setExecutionExceptionHandler(Main::report);
    if (args.length == 0) {
      commandLine.usage(System.out);
      return INVALID;
    }
    return commandLine.execute(args);
  }

  /** With only the command that is wanted, if it is clear: the others cost most of the start. */
  private static CommandLine commandLine(String... args) {
    Map<String, Supplier<Object>> commands = new LinkedHashMap<>();
    commands.put("compress", CompressCommand::new);
    commands.put("convert", ConvertCommand::new);
    commands.put("evaluate", EvaluateCommand::new);
    commands.put("compare", CompareCommand::new);
    commands.put("inspect", InspectCommand::new);
    commands.put("verify", VerifyCommand::new);
    commands.put("recipes", RecipesCommand::new);
    commands.put("doctor", DoctorCommand::new);
    commands.put("help", HelpCommand::new);
    CommandLine commandLine = new CommandLine(new Main());
    String first = args.length == 0 ? "" : args[0];
    if (commands.containsKey(first) && !first.equals("help")) {
      commandLine.addSubcommand(first, commands.get(first).get());
    } else if (!first.equals("--version") && !first.equals("-V")) {
      commands.forEach((name, command) -> commandLine.addSubcommand(name, command.get()));
    }
    return commandLine;
  }

  private static int report(Exception e, CommandLine command, ParseResult parsed) {
    if (System.getenv(DEBUG) != null) {
      e.printStackTrace();
    }
    return switch (e) {
      case InvalidInputException invalid ->
          fail(command, String.valueOf(invalid.getMessage()), INVALID);
      case QuenchException failure -> fail(command, String.valueOf(failure.getMessage()), FAILED);
      case UncheckedIOException failure -> fail(command, reason(failure), FAILED);
      default ->
          fail(
              command,
              "unexpected failure, please report it with what %s=1 shows: %s".formatted(DEBUG, e),
              FAILED);
    };
  }

  /** Messages of I/O exceptions often are a file's name and nothing else. */
  private static String reason(UncheckedIOException e) {
    return switch (e.getCause()) {
      case NoSuchFileException missing -> missing.getFile() + ": no such file.";
      case FileSystemException failure when failure.getReason() != null ->
          failure.getFile() + ": " + failure.getReason() + ".";
      case null, default -> String.valueOf(e.getMessage());
    };
  }

  private static int fail(CommandLine command, String message, int code) {
    command.getErr().println("quench: error: " + message);
    return code;
  }
}
