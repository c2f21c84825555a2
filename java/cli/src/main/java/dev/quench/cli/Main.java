package dev.quench.cli;

import dev.quench.CancelledException;
import dev.quench.InvalidInputException;
import dev.quench.QuenchException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
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
    description = "Compresses large language models.",
    subcommands = {
      CompressCommand.class,
      EvaluateCommand.class,
      CompareCommand.class,
      InspectCommand.class,
      VerifyCommand.class,
      DoctorCommand.class,
      HelpCommand.class
    })
public final class Main {
  static final int DONE = 0;
  static final int FAILED = 1;
  static final int INVALID = 2;
  static final int GATE = 3;

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
    CommandLine commandLine = new CommandLine(new Main());
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

  private static int report(Exception e, CommandLine command, ParseResult parsed) throws Exception {
    if (System.getenv("QUENCH_DEBUG") != null) {
      e.printStackTrace();
    }
    return switch (e) {
      case InvalidInputException invalid ->
          fail(command, String.valueOf(invalid.getMessage()), INVALID);
      case CancelledException _ -> fail(command, "interrupted.", FAILED);
      case QuenchException failure -> fail(command, String.valueOf(failure.getMessage()), FAILED);
      default -> {
        e.printStackTrace();
        yield fail(command, "unexpected failure, please report it: " + e, FAILED);
      }
    };
  }

  private static int fail(CommandLine command, String message, int code) {
    command.getErr().println("quench: error: " + message);
    return code;
  }
}
