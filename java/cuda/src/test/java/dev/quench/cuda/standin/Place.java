package dev.quench.cuda.standin;

import java.util.List;

/** What a PTX name stands for in the C++ text. */
sealed interface Place {

  /** A register: a C++ variable of raw bits (or bool). */
  record Register(Type type, String cpp) implements Place {}

  /** A variable in shared memory: an offset in the block's buffer, as a C++ expression. */
  record Shared(String offset) implements Place {}

  /** A variable in other memory: its address, as a C++ expression. */
  record Memory(Ptx.Space space, String address) implements Place {}

  record Label(String cpp) implements Place {}

  /** The labels of a {@code brx.idx}. */
  record Targets(List<String> labels) implements Place {}
}
