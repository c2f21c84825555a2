package dev.quench.cuda.standin;

/**
 * One token of a PTX text.
 *
 * @param line line of the PTX text, from 1
 */
record Token(Kind kind, String text, int line) {

  enum Kind {
    /** An opcode with its modifiers, a directive, a register, a symbol: {@code ld.global.f32}. */
    WORD,
    /** A number as written: {@code 12}, {@code 0x1F}, {@code 0f3F800000}. */
    NUMBER,
    /** A quoted string, without its quotes. */
    STRING,
    /** One character of punctuation. */
    PUNCTUATION,
    END
  }

  boolean is(String expected) {
    return kind != Kind.STRING && text.equals(expected);
  }
}
