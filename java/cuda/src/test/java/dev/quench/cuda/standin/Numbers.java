package dev.quench.cuda.standin;

import java.util.Locale;

/** How PTX writes numbers. */
final class Numbers {
  private Numbers() {}

  /** A constant operand. */
  static Ptx.Operand operand(Token token) {
    String text = token.text().toLowerCase(Locale.ROOT);
    try {
      if (text.startsWith("0f") && text.length() == 10) {
        return new Ptx.Real(
            Type.F32, Integer.toUnsignedLong(Integer.parseUnsignedInt(text.substring(2), 16)));
      }
      if (text.startsWith("0d") && text.length() == 18) {
        return new Ptx.Real(Type.F64, Long.parseUnsignedLong(text.substring(2), 16));
      }
      if (text.contains(".") && !text.startsWith("0x")) {
        return new Ptx.Real(Type.F64, Double.doubleToRawLongBits(Double.parseDouble(text)));
      }
    } catch (NumberFormatException e) {
      throw bad(token, e);
    }
    return new Ptx.Whole(whole(token));
  }

  /** An integer constant, as 64 bits. */
  static long whole(Token token) {
    String text = token.text().toLowerCase(Locale.ROOT);
    if (text.endsWith("u")) {
      text = text.substring(0, text.length() - 1);
    }
    try {
      if (text.startsWith("0x")) {
        return Long.parseUnsignedLong(text.substring(2), 16);
      }
      if (text.startsWith("0b")) {
        return Long.parseUnsignedLong(text.substring(2), 2);
      }
      return Long.parseUnsignedLong(text, text.startsWith("0") ? 8 : 10);
    } catch (NumberFormatException e) {
      throw bad(token, e);
    }
  }

  private static PtxException bad(Token token, NumberFormatException cause) {
    PtxException exception = new PtxException(token.line(), "not a number: '" + token.text() + "'");
    exception.initCause(cause);
    return exception;
  }
}
