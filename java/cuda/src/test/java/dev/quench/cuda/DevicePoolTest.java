package dev.quench.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

final class DevicePoolTest {
  private static final long MIB = 1 << 20;

  /** Segments at made-up addresses, with gaps so that neighbours in one aren't those in another. */
  private static final class Segments implements DevicePool.Backing {
    private final Map<Long, Long> sizes = new TreeMap<>();
    private final long capacity;
    private long next = 1L << 32;
    private long taken;
    private int calls;

    Segments(long capacity) {
      this.capacity = capacity;
    }

    @Override
    public long allocate(long bytes) {
      calls++;
      if (taken + bytes > capacity) {
        return 0;
      }
      taken += bytes;
      long address = next;
      next += bytes + 4096;
      sizes.put(address, bytes);
      return address;
    }

    @Override
    public void free(long address) {
      assertThat(sizes).as("segments that were allocated").containsKey(address);
      taken -= sizes.getOrDefault(address, 0L);
      sizes.remove(address);
    }

    boolean holds(long address, long bytes) {
      return sizes.entrySet().stream()
          .anyMatch(
              segment ->
                  address >= segment.getKey()
                      && address + bytes <= segment.getKey() + segment.getValue());
    }
  }

  private final Segments segments = new Segments(1L << 40);
  private final DevicePool pool = new DevicePool(segments, 256 * MIB);

  private DevicePool.Block take(long bytes) {
    return pool.take(bytes).orElseThrow();
  }

  @Test
  void memoryIsUsedAgain() {
    DevicePool.Block first = take(10 * MIB);
    pool.give(first, 0);
    DevicePool.Block second = take(10 * MIB);
    assertThat(second.address()).isEqualTo(first.address());
    assertThat(segments.calls).isEqualTo(1);
  }

  @Test
  void theSmallestBlockThatFitsIsTaken() {
    DevicePool.Block wide = take(12 * MIB);
    DevicePool.Block wall = take(2 * MIB);
    DevicePool.Block narrow = take(6 * MIB);
    DevicePool.Block end = take(12 * MIB);
    pool.give(wide, 0);
    pool.give(narrow, 0);
    assertThat(take(6 * MIB).address()).isEqualTo(narrow.address());
    assertThat(take(2 * MIB).address()).isEqualTo(wide.address());
    assertThat(wall.address()).isNotEqualTo(end.address());
  }

  @Test
  void freeNeighboursAreJoined() {
    DevicePool.Block a = take(10 * MIB);
    DevicePool.Block b = take(10 * MIB);
    DevicePool.Block c = take(12 * MIB);
    pool.give(a, 1);
    pool.give(c, 3);
    pool.give(b, 2);
    DevicePool.Block whole = take(32 * MIB);
    assertThat(whole.address()).isEqualTo(a.address());
    assertThat(whole.lastUse()).as("the youngest use of its parts").isEqualTo(3);
    assertThat(segments.calls).isEqualTo(1);
  }

  @Test
  void aPartRemembersTheUseOfTheWhole() {
    DevicePool.Block whole = take(32 * MIB);
    pool.give(whole, 7);
    assertThat(take(2 * MIB).lastUse()).isEqualTo(7);
    assertThat(take(2 * MIB).lastUse()).isEqualTo(7);
  }

  @Test
  void segmentsThatNobodyUsesMakeRoomForLargerOnes() {
    DevicePool.Block first = take(100 * MIB);
    DevicePool.Block second = take(100 * MIB);
    pool.give(first, 0);
    pool.give(second, 0);
    assertThat(take(200 * MIB).bytes()).isEqualTo(200 * MIB);
    assertThat(pool.reserved()).isEqualTo(200 * MIB);
  }

  @Test
  void theLimitHolds() {
    DevicePool.Block most = take(200 * MIB);
    assertThat(pool.take(57 * MIB)).isEmpty();
    assertThat(pool.take(56 * MIB)).as("what is left, to the byte").isPresent();
    pool.give(most, 0);
    assertThat(pool.take(200 * MIB)).isPresent();
  }

  @Test
  void itAsksForLessThanASegmentWhereThereIsNoMore() {
    Segments few = new Segments(3 * MIB);
    DevicePool small = new DevicePool(few, Long.MAX_VALUE);
    assertThat(small.take(3 * MIB)).isPresent();
    assertThat(small.take(1)).isEmpty();
  }

  @Test
  void closingGivesBackWhatIsOnLoan() {
    take(5 * MIB);
    take(100);
    pool.close();
    assertThat(segments.sizes).isEmpty();
  }

  /** Blocks never overlap, lie in segments, are aligned, and are counted. */
  @Property(tries = 200)
  void blocksAreApart(
      @ForAll @Size(max = 120) List<@IntRange(min = 0, max = 40_000_000) Integer> steps) {
    Segments backing = new Segments(400 * MIB);
    DevicePool tested = new DevicePool(backing, 300 * MIB);
    List<DevicePool.Block> onLoan = new ArrayList<>();
    long mark = 0;
    for (int step : steps) {
      if (step % 3 == 0 && !onLoan.isEmpty()) {
        tested.give(onLoan.remove(step % onLoan.size()), mark++);
      } else {
        tested.take(step % 5 == 0 ? step % 4096 : step).ifPresent(onLoan::add);
      }
      check(backing, tested, onLoan);
    }
    onLoan.forEach(block -> tested.give(block, 0));
    tested.release();
    assertThat(backing.sizes).as("all of it comes back in whole segments").isEmpty();
    assertThat(tested.reserved()).isZero();
  }

  private static void check(Segments backing, DevicePool tested, List<DevicePool.Block> onLoan) {
    TreeMap<Long, Long> ends = new TreeMap<>();
    long used = 0;
    for (DevicePool.Block block : onLoan) {
      assertThat(block.address() % DevicePool.ALIGNMENT).isZero();
      assertThat(backing.holds(block.address(), block.bytes())).isTrue();
      assertThat(ends.put(block.address(), block.address() + block.bytes())).isNull();
      used += block.bytes();
    }
    long last = 0;
    for (Map.Entry<Long, Long> block : ends.entrySet()) {
      assertThat(block.getKey()).isGreaterThanOrEqualTo(last);
      last = block.getValue();
    }
    assertThat(tested.used()).isEqualTo(used);
    assertThat(tested.reserved()).isEqualTo(backing.taken).isLessThanOrEqualTo(300 * MIB);
  }
}
