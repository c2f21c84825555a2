package dev.quench.cuda;

import java.util.Comparator;
import java.util.HashSet;
import java.util.Iterator;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Cuts the driver's large segments into blocks. Asking the driver for memory costs a round trip and
 * giving some back waits for the device, so segments are kept until the pool is closed or memory
 * runs out.
 *
 * <p>A request takes the smallest free block that holds it; what is left of the block stays free,
 * and free neighbours are joined. Small requests have segments of their own, lest they pin large
 * ones. The pool knows nothing of streams: who gets a block must order its use after what the last
 * owner asked for.
 */
final class DevicePool implements AutoCloseable {
  /** Where segments come from. */
  interface Backing {
    /** Address of that many bytes; 0 if there is no room. */
    long allocate(long bytes);

    void free(long address);
  }

  /** A piece of a segment, on loan or free. */
  static final class Block {
    private final boolean small;
    private long address;
    private long bytes;
    private boolean free;
    private @Nullable Block before;
    private @Nullable Block after;

    /** The youngest use of the memory by an owner before this one; see {@link CudaMemory}. */
    private long lastUse;

    private Block(boolean small, long address, long bytes) {
      this.small = small;
      this.address = address;
      this.bytes = bytes;
    }

    long address() {
      return address;
    }

    long bytes() {
      return bytes;
    }

    long lastUse() {
      return lastUse;
    }

    private boolean isSegment() {
      return before == null && after == null;
    }
  }

  /** Alignment of blocks: of cuMemAlloc, and more than any kernel or tensor map asks for. */
  static final long ALIGNMENT = 512;

  static final long SMALL = 1 << 20;
  private static final long SMALL_SEGMENT = 2 << 20;
  private static final long SEGMENT = 32 << 20;
  private static final long SEGMENT_STEP = 2 << 20;

  private static final Comparator<Block> BY_SIZE =
      Comparator.comparingLong(Block::bytes).thenComparingLong(Block::address);

  private final Backing backing;
  private final long limit;
  private final Set<Long> segments = new HashSet<>();
  private final TreeSet<Block> freeSmall = new TreeSet<>(BY_SIZE);
  private final TreeSet<Block> freeLarge = new TreeSet<>(BY_SIZE);
  private long reserved;
  private long used;
  private long peak;

  /**
   * @param limit bytes that may be taken from the backing
   */
  DevicePool(Backing backing, long limit) {
    this.backing = backing;
    this.limit = limit;
  }

  /** Bytes on loan. */
  synchronized long used() {
    return used;
  }

  /** The most that was on loan. */
  synchronized long peak() {
    return peak;
  }

  /** Bytes taken from the backing. */
  synchronized long reserved() {
    return reserved;
  }

  long limit() {
    return limit;
  }

  /** A block of at least that many bytes, of unspecified content; empty if there is no room. */
  synchronized Optional<Block> take(long bytes) {
    long size = Math.ceilDiv(Math.max(bytes, 1), ALIGNMENT) * ALIGNMENT;
    boolean small = size <= SMALL;
    TreeSet<Block> blocks = small ? freeSmall : freeLarge;
    Block block = blocks.ceiling(new Block(small, 0, size));
    if (block == null) {
      block = newSegment(small, size);
      if (block == null) {
        return Optional.empty();
      }
    } else {
      blocks.remove(block);
    }
    split(block, size);
    block.free = false;
    used += block.bytes;
    peak = Math.max(peak, used);
    return Optional.of(block);
  }

  /** Free segments are given back if that makes room. */
  private @Nullable Block newSegment(boolean small, long size) {
    long wanted =
        small ? SMALL_SEGMENT : Math.max(SEGMENT, Math.ceilDiv(size, SEGMENT_STEP) * SEGMENT_STEP);
    for (long bytes : new long[] {wanted, size}) {
      for (boolean released : new boolean[] {false, true}) {
        if (released) {
          release();
        }
        long address = bytes <= limit - reserved ? backing.allocate(bytes) : 0;
        if (address != 0) {
          reserved += bytes;
          segments.add(address);
          return new Block(small, address, bytes);
        }
      }
    }
    return null;
  }

  private void split(Block block, long size) {
    if (block.bytes == size) {
      return;
    }
    Block rest = new Block(block.small, block.address + size, block.bytes - size);
    rest.lastUse = block.lastUse;
    rest.before = block;
    rest.after = block.after;
    if (rest.after != null) {
      rest.after.before = rest;
    }
    block.after = rest;
    block.bytes = size;
    giveFree(rest);
  }

  /**
   * @param lastUse what the next owner has to wait for where it doesn't go by the same stream;
   *     grows from call to call
   */
  synchronized void give(Block block, long lastUse) {
    used -= block.bytes;
    block.lastUse = Math.max(block.lastUse, lastUse);
    Block after = block.after;
    if (after != null && after.free) {
      freeBlocks(after).remove(after);
      join(block, after);
    }
    Block before = block.before;
    if (before != null && before.free) {
      freeBlocks(before).remove(before);
      join(before, block);
      giveFree(before);
    } else {
      giveFree(block);
    }
  }

  private static void join(Block block, Block after) {
    block.bytes += after.bytes;
    block.lastUse = Math.max(block.lastUse, after.lastUse);
    block.after = after.after;
    if (block.after != null) {
      block.after.before = block;
    }
  }

  private void giveFree(Block block) {
    block.free = true;
    freeBlocks(block).add(block);
  }

  private TreeSet<Block> freeBlocks(Block block) {
    return block.small ? freeSmall : freeLarge;
  }

  /** Gives segments of which nothing is on loan back to the backing. */
  synchronized void release() {
    release(freeSmall);
    release(freeLarge);
  }

  private void release(TreeSet<Block> blocks) {
    for (Iterator<Block> each = blocks.iterator(); each.hasNext(); ) {
      Block block = each.next();
      if (block.isSegment()) {
        each.remove();
        reserved -= block.bytes;
        segments.remove(block.address);
        backing.free(block.address);
      }
    }
  }

  /** Gives everything back to the backing, also what is on loan. */
  @Override
  public synchronized void close() {
    segments.forEach(backing::free);
    segments.clear();
  }
}
