package dev.quench.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.TreeMap;

/**
 * Recycles host buffers, since fresh memory costs a page fault and a zeroing per page. Sizes are
 * rounded up to a sixteenth of their power of two, so that a buffer fits requests of nearly its
 * size and wastes at most 1/16.
 */
final class HostPool implements AutoCloseable {
  /** Cache line, and the widest vector. */
  static final long ALIGNMENT = 64;

  /** A buffer on loan or in the pool. */
  record Buffer(Arena arena, MemorySegment memory) {}

  private final Map<Long, Deque<Buffer>> free = new TreeMap<>();
  private boolean closed;

  /** A buffer of at least that many bytes, of unspecified content. */
  @SuppressWarnings("MustBeClosedChecker") // the pool closes it, in trim
  synchronized Buffer take(long bytes) {
    long size = roundUp(bytes);
    Deque<Buffer> candidates = free.get(size);
    if (candidates != null && !candidates.isEmpty()) {
      return candidates.pop();
    }
    Arena arena = Arena.ofShared();
    return new Buffer(arena, arena.allocate(size, ALIGNMENT));
  }

  synchronized void give(Buffer buffer) {
    if (closed) {
      buffer.arena.close();
      return;
    }
    free.computeIfAbsent(buffer.memory.byteSize(), size -> new ArrayDeque<>()).push(buffer);
  }

  /** Gives all pooled memory back to the system; buffers on loan stay valid. */
  synchronized void trim() {
    free.values().forEach(buffers -> buffers.forEach(buffer -> buffer.arena.close()));
    free.clear();
  }

  @Override
  public synchronized void close() {
    closed = true;
    trim();
  }

  static long roundUp(long bytes) {
    long step = Math.max(ALIGNMENT, Long.highestOneBit(Math.max(bytes, 1)) >>> 4);
    return Math.max(step, Math.ceilDiv(bytes, step) * step);
  }
}
