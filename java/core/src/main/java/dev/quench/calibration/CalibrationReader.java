package dev.quench.calibration;

import dev.quench.InvalidInputException;
import dev.quench.calibration.DataOptions.Packing;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/** Makes token rows of a calibration file. */
public final class CalibrationReader {
  private static final JsonMapper JSON = new JsonMapper();

  /** A row shorter than that predicts nothing. */
  private static final int MIN_TOKENS = 2;

  private final Path modelFolder;
  private final int vocabularySize;
  private final DataOptions options;

  /**
   * @param modelFolder has the tokenizer
   * @param vocabularySize token ids are below that
   */
  public CalibrationReader(Path modelFolder, int vocabularySize, DataOptions options) {
    if (options.sequenceLength() < MIN_TOKENS) {
      throw new InvalidInputException(
          "the sequence length must be at least 2, not " + options.sequenceLength() + ".");
    }
    if (options.samples() < 1) {
      throw new InvalidInputException(
          "the number of samples must be at least 1, not " + options.samples() + ".");
    }
    this.modelFolder = modelFolder;
    this.vocabularySize = vocabularySize;
    this.options = options;
  }

  /**
   * Reads JSON lines or a JSON array of rows with {@code input_ids}, {@code messages} or {@code
   * text}, or of rows of ids; or plain text, which is one document and is cut into rows.
   *
   * @throws InvalidInputException if there is nothing usable in the file; the message names the
   *     line
   */
  public CalibrationData read(Path file) {
    DocumentSource source = DocumentSource.open(file);
    boolean oneText = source.size() == 1 && source.document(0) instanceof DocumentSource.Text;
    List<String> warnings = new ArrayList<>();
    try (Encoder encoder = new Encoder(modelFolder)) {
      List<int[]> rows =
          oneText || options.packing() == Packing.CONCATENATE
              ? concatenated(source, encoder)
              : sampled(source, encoder, warnings);
      if (rows.isEmpty()) {
        throw new InvalidInputException(
            options.packing() == Packing.CONCATENATE || oneText
                ? "%s has fewer tokens than one row of %d; give more text, or a smaller --sequence-length."
                    .formatted(file, options.sequenceLength())
                : file + " has no row of at least two tokens; it is too short to calibrate with.");
      }
      if (rows.size() < options.samples()) {
        warnings.add(
            "%s gives only %d of the %d rows asked for; all are used."
                .formatted(file, rows.size(), options.samples()));
      }
      return new CalibrationData(rows, file.toString(), warnings);
    }
  }

  /** Joins documents in order until there are enough tokens. */
  private List<int[]> concatenated(DocumentSource source, Encoder encoder) {
    List<int[]> rows = new ArrayList<>();
    int[] row = new int[options.sequenceLength()];
    int filled = 0;
    for (int i = 0; i < source.size() && rows.size() < options.samples(); i++) {
      if (source.isBlank(i)) {
        continue;
      }
      int[] ids = tokens(source.document(i), encoder);
      for (int at = 0; at < ids.length && rows.size() < options.samples(); ) {
        int count = Math.min(row.length - filled, ids.length - at);
        System.arraycopy(ids, at, row, filled, count);
        at += count;
        filled += count;
        if (filled == row.length) {
          rows.add(row.clone());
          filled = 0;
        }
      }
    }
    return rows;
  }

  /**
   * Draws documents without replacement: a Fisher-Yates shuffle by a SplittableRandom of the seed,
   * taken from the front until there are enough. Only the documents that are drawn are tokenized.
   */
  private List<int[]> sampled(DocumentSource source, Encoder encoder, List<String> warnings) {
    List<int[]> rows = new ArrayList<>();
    int[] order = new int[source.size()];
    Arrays.setAll(order, i -> i);
    SplittableRandom random = new SplittableRandom(options.seed());
    int tooShort = 0;
    for (int i = 0; i < order.length && rows.size() < options.samples(); i++) {
      int j = random.nextInt(i, order.length);
      int drawn = order[j];
      order[j] = order[i];
      order[i] = drawn;
      if (source.isBlank(drawn)) {
        continue;
      }
      int[] ids = tokens(source.document(drawn), encoder);
      if (ids.length < MIN_TOKENS) {
        tooShort++;
        continue;
      }
      rows.add(
          ids.length > options.sequenceLength()
              ? Arrays.copyOf(ids, options.sequenceLength())
              : ids);
    }
    if (tooShort > 0) {
      warnings.add("%d rows of fewer than two tokens were left out.".formatted(tooShort));
    }
    return rows;
  }

  private int[] tokens(DocumentSource.Document document, Encoder encoder) {
    int[] ids =
        switch (document) {
          case DocumentSource.TokenIds given -> given.ids();
          case DocumentSource.Text text -> encoder.tokenizer().encode(text.text(), true);
          case DocumentSource.Messages chat ->
              encoder
                  .tokenizer()
                  .encode(encoder.template().render(conversation(chat), chat.where()), false);
        };
    for (int id : ids) {
      if (id >= vocabularySize) {
        throw new InvalidInputException(
            "%s: token id %d, but the model's vocabulary has only %d; is the data of another model?"
                .formatted(document.where(), id, vocabularySize));
      }
    }
    return ids;
  }

  private static List<Map<String, Object>> conversation(DocumentSource.Messages chat) {
    return JSON.convertValue(chat.messages(), new TypeReference<List<Map<String, Object>>>() {});
  }

  /** Opens the tokenizer and the chat template when they are first needed. */
  private static final class Encoder implements AutoCloseable {
    private final Path modelFolder;
    private Optional<TextTokenizer> tokenizer = Optional.empty();
    private Optional<ChatTemplate> template = Optional.empty();

    Encoder(Path modelFolder) {
      this.modelFolder = modelFolder;
    }

    TextTokenizer tokenizer() {
      if (tokenizer.isEmpty()) {
        tokenizer = Optional.of(TextTokenizer.open(modelFolder));
      }
      return tokenizer.get();
    }

    ChatTemplate template() {
      if (template.isEmpty()) {
        template = Optional.of(ChatTemplate.open(modelFolder));
      }
      return template.get();
    }

    @Override
    public void close() {
      tokenizer.ifPresent(TextTokenizer::close);
    }
  }
}
