package dev.quench.cuda.standin;

import java.util.ArrayList;
import java.util.List;

/**
 * How the stand-in and the kernels are compiled.
 *
 * @param sanitizer {@code address}, {@code undefined}, {@code address,undefined}, {@code thread},
 *     or nothing
 * @param profile whether kernels count sectors and bank conflicts
 * @param removable whether runs can leave out barriers, for {@code STANDIN_REMOVE}
 */
record BuildOptions(String sanitizer, boolean profile, boolean removable) {

  static BuildOptions plain() {
    return new BuildOptions("", false, false);
  }

  /**
   * Reads {@code --sanitize=thread}, {@code --profile}, {@code --removable}.
   *
   * @throws IllegalArgumentException if an argument is none of these
   */
  static BuildOptions parse(List<String> arguments) {
    BuildOptions options = plain();
    for (String argument : arguments) {
      if (argument.startsWith("--sanitize=")) {
        String sanitizer = argument.substring(argument.indexOf('=') + 1);
        options = new BuildOptions(sanitizer, options.profile, options.removable);
      } else if (argument.equals("--profile")) {
        options = new BuildOptions(options.sanitizer, true, options.removable);
      } else if (argument.equals("--removable")) {
        options = new BuildOptions(options.sanitizer, options.profile, true);
      } else {
        throw new IllegalArgumentException("unknown argument " + argument);
      }
    }
    return options;
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
      if (sanitizer.endsWith("undefined")) {
        flags.add("-fno-sanitize-recover=undefined");
      }
    }
    return flags;
  }
}
