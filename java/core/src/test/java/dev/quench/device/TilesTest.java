package dev.quench.device;

import static org.assertj.core.api.Assertions.assertThat;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

final class TilesTest {

  @Property(tries = 60, seed = "1")
  void tilesCoverEachElementOnce(
      @ForAll @IntRange(min = 1, max = 1500) int m, @ForAll @IntRange(min = 1, max = 1500) int n) {
    Tiles tiles = Tiles.of(m, n);
    int[][] covered = new int[m][n];
    for (long t = 0; t < tiles.count(); t++) {
      assertThat(tiles.row(t)).isLessThan(m);
      assertThat(tiles.column(t)).isLessThan(n);
      for (long i = tiles.row(t); i < Math.min(m, tiles.row(t) + tiles.height()); i++) {
        for (long j = tiles.column(t); j < Math.min(n, tiles.column(t) + tiles.width()); j++) {
          covered[(int) i][(int) j]++;
        }
      }
    }
    for (int[] row : covered) {
      assertThat(row).containsOnly(1);
    }
  }

  @Property(tries = 60, seed = "1")
  void lowerTilesCoverTheTriangleOnce(@ForAll @IntRange(min = 1, max = 1500) int n) {
    LowerTiles tiles = LowerTiles.of(n);
    int[][] covered = new int[n][n];
    for (long t = 0; t < tiles.count(); t++) {
      LowerTiles.Tile tile = tiles.tile(t);
      for (long i = tile.row(); i < tile.row() + tile.rows(); i++) {
        long end = tile.onDiagonal() ? i + 1 : tile.column() + tile.columns();
        for (long j = tile.column(); j < end; j++) {
          covered[(int) i][(int) j]++;
        }
      }
    }
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        assertThat(covered[i][j]).isEqualTo(j <= i ? 1 : 0);
      }
    }
  }
}
