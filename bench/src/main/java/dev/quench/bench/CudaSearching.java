package dev.quench.bench;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.RangeSearch;
import dev.quench.tensor.DType;
import java.util.ArrayList;
import java.util.List;

/** Searches for ranges, as the observer mse makes them by default: {@code search.cu}. */
final class CudaSearching {
  private static final RangeSearch SEARCH = new RangeSearch(20, 100, 1, 2.4, 5);

  /** Errors that the device keeps at the same time: more are done in bands of rows. */
  private static final long MAX_SUMS = 1 << 24;

  /** Floating-point operations of an element and step; a power is read from a table, or two. */
  private static final double STEP = 10;

  private CudaSearching() {}

  /** For the weights of a preset. */
  static CudaOperation search(DType dtype, String preset) {
    QuantizationArgs args = CudaRounding.preset(preset);
    String codes =
        switch (args.codeFormat()) {
          case INTEGER -> "int";
          case E4M3 -> "e4m3";
          case E2M1 -> "e2m1";
        };
    return new CudaOperation() {
      private long blockRows(CudaSizes sizes) {
        return Math.min(args.blockRows(sizes.rows()), sizes.rows());
      }

      private long gridRows(CudaSizes sizes) {
        return Math.ceilDiv(sizes.rows(), blockRows(sizes));
      }

      private long gridColumns(CudaSizes sizes) {
        return Math.ceilDiv(sizes.columns(), args.blockColumns(sizes.columns()));
      }

      private long bands(CudaSizes sizes) {
        long sums = gridColumns(sizes) * SEARCH.steps() * blockRows(sizes);
        return Math.ceilDiv(gridRows(sizes), Math.max(1, MAX_SUMS / sums));
      }

      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        String name = CudaRounding.name(dtype);
        long elements = sizes.rows() * sizes.columns();
        long blocks = gridRows(sizes) * gridColumns(sizes);
        long errors = blocks * SEARCH.steps();
        boolean rows = blockRows(sizes) == 1;
        List<KernelWork> work = new ArrayList<>();
        work.add(
            KernelWork.streaming(
                "quench_observe_" + (rows ? "groups_" : "tiles_") + name,
                elements,
                dtype.bytes(elements + 2 * blocks),
                2.0 * elements));
        if (dtype != DType.F32) {
          work.add(
              KernelWork.streaming(
                  "quench_search_powers_" + name, 1 << 15, dtype.bytes(1 << 15), 1 << 15));
        }
        work.add(
            KernelWork.streaming(
                    "quench_search_sums_" + name + "_" + codes,
                    elements,
                    dtype.bytes(elements) + 4.0 * errors * blockRows(sizes),
                    STEP * SEARCH.steps() * elements)
                .withLaunches(bands(sizes)));
        if (!rows) {
          work.add(
              KernelWork.streaming(
                      "quench_search_errors_" + name,
                      errors * blockRows(sizes),
                      4.0 * errors * (blockRows(sizes) + 1),
                      (double) errors * blockRows(sizes))
                  .withLaunches(bands(sizes)));
        }
        work.add(
            KernelWork.streaming(
                    "quench_search_improvements", errors, 4.0 * errors + 4 * blocks, errors)
                .withLaunches(bands(sizes)));
        work.add(
            KernelWork.streaming(
                "quench_search_shrink_" + name,
                blocks,
                dtype.bytes(4 * blocks) + 4.0 * blocks,
                4.0 * blocks));
        return work;
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Tensor x = scope.allocate(dtype, sizes.rows(), sizes.columns());
        device.convert(Operands.random(scope, sizes.rows(), sizes.columns()), x);
        Tensor min = scope.zeros(dtype, gridRows(sizes), gridColumns(sizes));
        Tensor max = scope.zeros(dtype, gridRows(sizes), gridColumns(sizes));
        return () -> device.searchRange(x, args, SEARCH, min, max);
      }
    };
  }
}
