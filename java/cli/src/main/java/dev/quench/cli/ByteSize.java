package dev.quench.cli;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** A number of bytes, such as {@code 5GB} (10⁹) or {@code 512MiB} (2²⁰). */
record ByteSize(long bytes) {
  private static final Pattern TEXT =
      Pattern.compile("(\\d{1,9}(?:\\.\\d{1,6})?)\\s*(B|KB|MB|GB|TB|KIB|MIB|GIB|TIB)?");

  /** For picocli. */
  static final class Converter implements ITypeConverter<ByteSize> {
    @Override
    public ByteSize convert(String text) {
      return parse(text);
    }
  }

  static ByteSize parse(String text) {
    Matcher matcher = TEXT.matcher(text.strip().toUpperCase(Locale.ROOT));
    if (!matcher.matches()) {
      throw new TypeConversionException(
          "'" + text + "' isn't a size; write it like 5GB, 500MB or 512MiB");
    }
    String unit = matcher.group(2) == null ? "B" : matcher.group(2);
    double factor =
        switch (unit) {
          case "KB" -> 1e3;
          case "MB" -> 1e6;
          case "GB" -> 1e9;
          case "TB" -> 1e12;
          case "KIB" -> 0x1p10;
          case "MIB" -> 0x1p20;
          case "GIB" -> 0x1p30;
          case "TIB" -> 0x1p40;
          default -> 1;
        };
    long bytes = (long) (Double.parseDouble(matcher.group(1)) * factor);
    if (bytes <= 0) {
      throw new TypeConversionException("a size must be more than nothing");
    }
    return new ByteSize(bytes);
  }

  /** For people, such as {@code 13.6 MB}. */
  static String format(long bytes) {
    if (bytes < 1000) {
      return bytes + " B";
    }
    double value = bytes;
    int unit = -1;
    while (value >= 1000 && unit < 3) {
      value /= 1000;
      unit++;
    }
    return String.format(Locale.ROOT, "%.1f %cB", value, "kMGT".charAt(unit));
  }
}
