package dev.quench.device;

import dev.quench.quantization.Improvements;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.RangeSearch;
import dev.quench.tensor.DType;
import java.util.List;
import java.util.Optional;

/**
 * {@link RangeSearch} on the CPU. All blocks take all steps, and note which of them made them
 * better; then it is known where the search ends.
 */
final class CpuSearch {
  private static final long TASK_ELEMENTS = 1 << 15;

  private final Workers workers;

  /** The last one that was used. */
  private PowerTable powers = PowerTable.NONE;

  CpuSearch(Workers workers) {
    this.workers = workers;
  }

  /**
   * @param importance of the columns, if errors are weighed; then blocks are of one row
   * @param min of what {@link CpuQuantization#observe} gives, changed to the best range; so is
   *     {@code max}
   */
  void searchRange(
      Tensor x,
      Optional<Tensor> importance,
      QuantizationArgs args,
      RangeSearch search,
      Tensor min,
      Tensor max) {
    HostMatrix from = HostMatrix.of(x);
    if (importance.isEmpty()) {
      powers = powers.orOther(search, from.dtype());
    }
    SearchKernels.Problem problem =
        new SearchKernels.Problem(
            from,
            args.blockRows(from.rows()),
            args.blockColumns(from.columns()),
            RangeSearch.candidate(args),
            search,
            HostMatrix.of(min),
            HostMatrix.of(max),
            importance.map(CpuSearch::values),
            powers);
    Improvements improvements = new Improvements(search, problem.blocks());
    if (problem.blockRows() == 1) {
      searchRows(problem, improvements);
    } else {
      searchBlocks(problem, improvements);
    }
    shrink(problem, improvements);
  }

  private void searchRows(SearchKernels.Problem problem, Improvements improvements) {
    float worst =
        RangeSearch.worst(problem.importance().isPresent() ? DType.F32 : problem.x().dtype());
    overRows(
        problem,
        (kernels, row) ->
            kernels.row(
                row,
                (column, sums) -> {
                  for (int step = 0; step < sums.length; step++) {
                    sums[step] = kernels.rounded(sums[step]);
                  }
                  improvements.add(row * problem.min().columns() + column, sums, worst);
                }));
  }

  /** Sums of rows first, which are then added in order. */
  private void searchBlocks(SearchKernels.Problem problem, Improvements improvements) {
    int steps = problem.search().steps();
    long across = problem.min().columns();
    float[] sums = new float[Math.toIntExact(problem.x().rows() * across * steps)];
    overRows(
        problem,
        (kernels, row) ->
            kernels.row(
                row,
                (column, rowSums) ->
                    System.arraycopy(
                        rowSums, 0, sums, (int) ((row * across + column) * steps), steps)));
    SearchKernels kernels = new SearchKernels(problem);
    float[] errors = new float[steps];
    for (long block = 0; block < problem.blocks(); block++) {
      long first = block / across * problem.blockRows();
      long last = Math.min(first + problem.blockRows(), problem.x().rows());
      for (int step = 0; step < steps; step++) {
        double sum = 0;
        for (long row = first; row < last; row++) {
          sum += sums[(int) ((row * across + block % across) * steps + step)];
        }
        errors[step] = kernels.rounded((float) sum);
      }
      improvements.add(block, errors, RangeSearch.worst(problem.x().dtype()));
    }
  }

  private static float[] values(Tensor row) {
    HostMatrix from = HostMatrix.of(row);
    float[] values = new float[Math.toIntExact(from.columns())];
    for (int i = 0; i < values.length; i++) {
      values[i] = FloatAccess.get(from, 0, i);
    }
    return values;
  }

  @FunctionalInterface
  private interface RowTask {
    void run(SearchKernels kernels, long row);
  }

  private void overRows(SearchKernels.Problem problem, RowTask task) {
    HostMatrix x = problem.x();
    long rows = Math.max(1, TASK_ELEMENTS / Math.max(1, x.columns()));
    Spares<SearchKernels> scratch = new Spares<>(() -> new SearchKernels(problem));
    workers.run(
        Math.ceilDiv(x.rows(), rows),
        band -> {
          SearchKernels kernels = scratch.take();
          for (long row = band * rows; row < Math.min((band + 1) * rows, x.rows()); row++) {
            task.run(kernels, row);
          }
          scratch.give(kernels);
        });
  }

  private static void shrink(SearchKernels.Problem problem, Improvements improvements) {
    int end = improvements.end();
    for (HostMatrix ends : List.of(problem.min(), problem.max())) {
      for (long block = 0; block < problem.blocks(); block++) {
        long i = block / ends.columns();
        long j = block % ends.columns();
        float shrunk =
            problem
                .search()
                .shrunk(FloatAccess.get(ends, i, j), improvements.best(block, end), ends.dtype());
        FloatAccess.set(ends, i, j, shrunk);
      }
    }
  }
}
