package dev.quench.cuda;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.RangeSearch;
import dev.quench.quantization.Rounding;
import dev.quench.quantization.ScaleFormat;
import dev.quench.tensor.DType;
import java.util.Locale;

/**
 * {@link RangeSearch} on the CUDA device. All blocks take all steps, and note which of them made
 * them better; then it is known where the search ends.
 */
final class CudaSearch {
  /** Rows of blocks and steps that a block of threads takes. */
  private static final int PARTS = 16;

  private static final int THREADS = 256;

  /** Magnitudes of a dtype of 16 bits. */
  private static final int MAGNITUDES = 1 << 15;

  /** Errors that are kept at the same time. */
  private static final long MAX_SUMS = 1 << 24;

  private final Kernels kernels;
  private final CudaMemory memory;

  CudaSearch(Kernels kernels, CudaMemory memory) {
    this.kernels = kernels;
    this.memory = memory;
  }

  /** What is searched, and where its results are noted. */
  private record Problem(
      CudaMatrix x,
      ScaleBlocks blocks,
      QuantizationArgs candidate,
      RangeSearch search,
      CudaMatrix powers,
      CudaMatrix better,
      CudaMatrix any) {
    String dtype() {
      return x.dtype().name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * @param min what observing gives, changed to the best range; so is {@code max}
   */
  void searchRange(
      CudaMatrix x,
      ScaleBlocks blocks,
      QuantizationArgs args,
      RangeSearch search,
      CudaMatrix min,
      CudaMatrix max) {
    long words = Math.ceilDiv(search.steps(), Integer.SIZE);
    long count = blocks.gridRows() * blocks.gridColumns();
    if (count == 0) {
      return;
    }
    try (CudaScope scope = memory.openScope()) {
      Problem problem =
          new Problem(
              x,
              blocks,
              RangeSearch.candidate(args),
              search,
              powers(search, x.dtype(), scope),
              scope.allocate(DType.I32, count, words),
              scope.zeros(DType.I32, 1, words));
      long rowSums = (long) blocks.gridColumns() * search.steps();
      long bands = Math.max(1, MAX_SUMS / (rowSums * blocks.blockRows()));
      for (long top = 0; top < blocks.gridRows(); top += bands) {
        searchBand(problem, top, Math.min(bands, blocks.gridRows() - top), min, max);
      }
      shrink(problem, min, max);
    }
  }

  /** Of differences of 16 bits; others are raised one by one. */
  private CudaMatrix powers(RangeSearch search, DType dtype, CudaScope scope) {
    if (dtype == DType.F32) {
      return scope.allocate(DType.F32, 1, 1);
    }
    CudaMatrix powers = scope.allocate(dtype, 1, MAGNITUDES);
    kernels.launch(
        "quench_search_powers_" + dtype.name().toLowerCase(Locale.ROOT),
        Grid.over(MAGNITUDES, THREADS, THREADS),
        new Arguments().floats(exponent(search, dtype)).pointer(powers.address()));
    return powers;
  }

  private static float exponent(RangeSearch search, DType dtype) {
    return Rounding.to(dtype, (float) search.norm());
  }

  /** Errors of some rows of blocks under all steps, and which of them are better. */
  private void searchBand(Problem p, long top, long count, CudaMatrix min, CudaMatrix max) {
    long first = top * p.blocks.blockRows();
    long rows = Math.min(count * p.blocks.blockRows(), p.x.rows() - first);
    int across = p.blocks.gridColumns();
    int steps = p.search.steps();
    try (CudaScope scope = memory.openScope()) {
      CudaMatrix sums = scope.allocate(DType.F32, rows * across, steps);
      addErrors(p, p.x.rows(first, rows), min.rows(top, count), max.rows(top, count), sums);
      CudaMatrix errors = sums;
      if (p.blocks.blockRows() > 1) {
        errors = scope.allocate(DType.F32, count * across, steps);
        kernels.launch(
            "quench_search_errors_" + p.dtype(),
            Grid.over(count * across * steps, THREADS, THREADS),
            new Arguments()
                .pointer(sums.address())
                .longs(rows)
                .ints(across, p.blocks.blockRows(), steps)
                .pointer(errors.address()));
      }
      kernels.launch(
          "quench_search_improvements",
          Grid.over(count * across, THREADS, THREADS),
          new Arguments()
              .pointer(errors.address())
              .longs(count * across)
              .ints(steps)
              .floats(RangeSearch.worst(p.x.dtype()))
              .pointer(p.better.rows(top * across, count * across).address())
              .pointer(p.any.address()));
    }
  }

  private void addErrors(Problem p, CudaMatrix x, CudaMatrix min, CudaMatrix max, CudaMatrix sums) {
    QuantizationArgs args = p.candidate;
    String codes =
        switch (args.codeFormat()) {
          case INTEGER -> "int";
          case E4M3 -> "e4m3";
          case E2M1 -> "e2m1";
        };
    kernels.launch(
        "quench_search_sums_" + p.dtype() + "_" + codes,
        Grid.of(
            Math.ceilDiv(sums.rows(), THREADS / PARTS),
            Math.ceilDiv(p.search.steps(), PARTS),
            THREADS),
        new Arguments()
            .matrix(x)
            .longs(x.rows())
            .ints(Math.toIntExact(x.columns()), p.blocks.blockRows(), p.blocks.blockColumns())
            .matrix(min)
            .matrix(max)
            .floats(args.minCode(), args.maxCode())
            .ints(args.symmetric() ? 1 : 0, args.scaleFormat() == ScaleFormat.E8M0 ? 1 : 0)
            .ints(p.search.steps(), p.search.grid())
            .floats(p.search.expansion(), exponent(p.search, x.dtype()))
            .pointer(p.powers.address())
            .pointer(sums.address()));
  }

  private void shrink(Problem p, CudaMatrix min, CudaMatrix max) {
    kernels.launch(
        "quench_search_shrink_" + p.dtype(),
        Grid.over(p.better.rows(), THREADS, THREADS),
        new Arguments()
            .matrix(min)
            .matrix(max)
            .longs(min.rows())
            .ints(Math.toIntExact(min.columns()), p.search.steps(), p.search.grid())
            .floats(p.search.expansion())
            .ints(p.search.patience())
            .pointer(p.better.address())
            .pointer(p.any.address()));
  }
}
