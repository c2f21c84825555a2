package dev.quench.cuda.standin;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Parses a PTX module: its directives, variables and functions. What a function does is {@link
 * BodyParser}'s.
 */
final class Parser {
  private static final Set<String> LINKING = Set.of(".extern", ".visible", ".weak", ".common");

  private final TokenCursor tokens;
  private final VariableParser variables;
  private final List<Ptx.Variable> moduleVariables = new ArrayList<>();
  private final List<Ptx.Function> functions = new ArrayList<>();
  private final Map<Integer, String> files = new HashMap<>();
  private String version = "";
  private String target = "";

  private Parser(String text) {
    tokens = new TokenCursor(Lexer.tokens(text));
    variables = new VariableParser(tokens);
  }

  /**
   * Parses a module.
   *
   * @throws PtxException at the first line that isn't understood
   */
  static Ptx.Module parse(String text) {
    Parser parser = new Parser(text);
    while (!parser.tokens.atEnd()) {
      parser.directive();
    }
    return new Ptx.Module(
        parser.version, parser.target, parser.files, parser.moduleVariables, parser.functions);
  }

  private void directive() {
    while (LINKING.contains(tokens.peek().text())) {
      tokens.take();
    }
    Token token = tokens.peek();
    switch (token.text()) {
      case ".version" -> version = valueOfDirective();
      case ".target" -> target = valueOfDirective();
      case ".address_size" -> addressSize(token);
      case ".file" -> file();
      case ".section" -> section();
      case ".pragma" -> pragma();
      case ".entry", ".func" -> functions.add(function());
      case ".shared", ".global", ".const" -> moduleVariables.add(variables.declaration());
      default -> throw new PtxException(token.line(), "unknown directive '" + token.text() + "'");
    }
  }

  private String valueOfDirective() {
    tokens.take();
    String value = tokens.take().text();
    while (tokens.accept(",")) {
      tokens.word();
    }
    return value;
  }

  private void addressSize(Token token) {
    tokens.take();
    if (tokens.wholeNumber() != 64) {
      throw new PtxException(token.line(), "only 64-bit addresses are supported");
    }
  }

  private void file() {
    tokens.take();
    int number = Math.toIntExact(tokens.wholeNumber());
    files.put(number, tokens.string());
    while (tokens.accept(",")) {
      tokens.wholeNumber();
    }
  }

  /** Debug sections hold nothing that runs. */
  private void section() {
    tokens.take();
    tokens.word();
    tokens.expect("{");
    while (!tokens.accept("}")) {
      tokens.take();
    }
  }

  private void pragma() {
    tokens.take();
    tokens.string();
    tokens.expect(";");
  }

  private Ptx.Function function() {
    Token head = tokens.take();
    boolean kernel = head.is(".entry");
    List<Ptx.Variable> results = !kernel && tokens.at("(") ? variables.parameters() : List.of();
    String name = tokens.word();
    List<Ptx.Variable> parameters = tokens.at("(") ? variables.parameters() : List.of();
    performanceDirectives();
    Optional<List<Ptx.Statement>> body = Optional.empty();
    if (!tokens.accept(";")) {
      body = Optional.of(new BodyParser(tokens).block());
    }
    return new Ptx.Function(head.line(), kernel, name, results, parameters, body);
  }

  /** {@code .maxntid} and its kind say how to compile, not what to compute. */
  private void performanceDirectives() {
    while (!tokens.at("{") && !tokens.at(";")) {
      Token directive = tokens.take(Token.Kind.WORD, "a directive or a body");
      boolean cluster = directive.text().contains("cluster");
      while (!tokens.at("{") && !tokens.at(";") && tokens.peek().kind() != Token.Kind.WORD) {
        Token value = tokens.take();
        if (cluster && value.kind() == Token.Kind.NUMBER && Numbers.whole(value) != 1) {
          throw new PtxException(value.line(), "clusters of blocks are not supported");
        }
      }
      tokens.accept(";");
    }
  }
}
