package dev.quench.cuda.standin;

/** Opcodes that are translated alike. */
interface Family {

  /** True if this family knows the opcode for the type that the instruction has. */
  boolean covers(Form form);

  /**
   * One or more C++ statements that do what the instruction does.
   *
   * @throws Untranslatable if it has a form that the family doesn't know
   */
  String translate(Form form);
}
