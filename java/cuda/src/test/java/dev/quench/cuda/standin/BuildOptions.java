package dev.quench.cuda.standin;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * How the stand-in and the kernels are compiled.
 *
 * @param sanitizer {@code address}, {@code undefined}, {@code thread}, or nothing
 * @param profile whether kernels count sectors and bank conflicts
 * @param mutatedFile the PTX file whose translation gets the mutation
 */
record BuildOptions(String sanitizer, boolean profile, String mutatedFile, Mutation mutation) {

  static BuildOptions plain() {
    return new BuildOptions("", false, "", Mutation.none());
  }

  /**
   * Reads {@code --sanitize=thread}, {@code --profile}, {@code --remove-barrier=pack.ptx:3}.
   *
   * @throws IllegalArgumentException if an argument is none of these
   */
  static BuildOptions parse(List<String> arguments) {
    BuildOptions options = plain();
    for (String argument : arguments) {
      String value = argument.substring(argument.indexOf('=') + 1);
      if (argument.startsWith("--sanitize=")) {
        options = new BuildOptions(value, options.profile, options.mutatedFile, options.mutation);
      } else if (argument.equals("--profile")) {
        options = new BuildOptions(options.sanitizer, true, options.mutatedFile, options.mutation);
      } else if (argument.startsWith("--remove-barrier=") && value.contains(":")) {
        int colon = value.lastIndexOf(':');
        Mutation mutation =
            new Mutation(OptionalInt.of(Integer.parseInt(value.substring(colon + 1))));
        options =
            new BuildOptions(
                options.sanitizer, options.profile, value.substring(0, colon), mutation);
      } else {
        throw new IllegalArgumentException("unknown argument " + argument);
      }
    }
    return options;
  }

  Mutation mutation(String file) {
    return file.equals(mutatedFile) ? mutation : Mutation.none();
  }

  /**
   * Flags of g++ for a translated kernel. Contraction is off: PTX says where it fuses. -O1, since
   * -O2 takes nearly twice as long for unrolled kernels.
   */
  List<String> compilerFlags() {
    List<String> flags =
        new ArrayList<>(
            List.of(
                "-std=c++20",
                "-O1",
                "-march=native",
                "-ffp-contract=off",
                "-fPIC",
                "-shared",
                "-fvisibility=hidden"));
    if (!sanitizer.isEmpty()) {
      flags.addAll(List.of("-g", "-fno-omit-frame-pointer", "-fsanitize=" + sanitizer));
      if (sanitizer.equals("undefined")) {
        flags.add("-fno-sanitize-recover=undefined");
      }
    }
    return flags;
  }
}
