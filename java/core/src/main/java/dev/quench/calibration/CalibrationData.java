package dev.quench.calibration;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/**
 * Token rows to calibrate or evaluate with.
 *
 * @param rows at least one, each of at least two tokens
 * @param source where they are from, for people
 * @param warnings what the user should know about them
 */
public record CalibrationData(List<int[]> rows, String source, List<String> warnings) {
  public CalibrationData {
    rows = List.copyOf(rows);
    warnings = List.copyOf(warnings);
  }

  public long tokens() {
    return rows.stream().mapToLong(row -> row.length).sum();
  }

  /** SHA-256 of all rows: equal tokens, equal fingerprint. */
  public String fingerprint() {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (int[] row : rows) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * (row.length + 1));
        bytes.putInt(row.length);
        for (int id : row) {
          bytes.putInt(id);
        }
        digest.update(bytes.array());
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
