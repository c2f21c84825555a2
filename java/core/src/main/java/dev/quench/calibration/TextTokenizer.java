package dev.quench.calibration;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import dev.quench.InvalidInputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;

/** The tokenizer of a model: Hugging Face's own, from tokenizer.json. */
public final class TextTokenizer implements AutoCloseable {
  static {
    // Without these the library looks for a GPU, and downloads a build for it.
    System.setProperty("RUST_FLAVOR", "cpu");
    System.setProperty("ai.djl.offline", "true");
  }

  private final HuggingFaceTokenizer tokenizer;

  private TextTokenizer(HuggingFaceTokenizer tokenizer) {
    this.tokenizer = tokenizer;
  }

  /**
   * @throws InvalidInputException if the folder has no tokenizer.json, or a damaged one
   */
  public static TextTokenizer open(Path modelFolder) {
    Path file = modelFolder.resolve("tokenizer.json");
    if (!Files.isRegularFile(file)) {
      throw new InvalidInputException(
          "%s is missing, so text can't be tokenized; add it, or give the data as rows with input_ids."
              .formatted(file));
    }
    try {
      return new TextTokenizer(
          HuggingFaceTokenizer.newInstance(
              file, Map.of("truncation", "false", "padding", "false")));
    } catch (IOException | RuntimeException e) {
      throw new InvalidInputException(
          "%s can't be used as a tokenizer: %s.".formatted(file, e.getMessage()), e);
    }
  }

  /**
   * @param specialTokens whether the tokens that the model wants around a text are added
   */
  public int[] encode(String text, boolean specialTokens) {
    long[] ids = tokenizer.encode(text, specialTokens, false).getIds();
    return Arrays.stream(ids).mapToInt(Math::toIntExact).toArray();
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
