package dev.quench.device;

import dev.quench.quantization.Improvements;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationParameters;
import dev.quench.quantization.RangeSearch;
import dev.quench.quantization.Rounding;
import dev.quench.tensor.DType;
import java.util.Arrays;
import java.util.Optional;

/** {@link RangeSearch} as it is defined. */
final class ReferenceSearch {
  private ReferenceSearch() {}

  /**
   * @param importance of the columns, if errors are weighed
   */
  static void searchRange(
      HostMatrix x,
      Optional<HostMatrix> importance,
      QuantizationArgs args,
      RangeSearch search,
      HostMatrix min,
      HostMatrix max) {
    long blockRows = args.blockRows(x.rows());
    long blockColumns = args.blockColumns(x.columns());
    ReferenceQuantization.observe(x, blockRows, blockColumns, min, max);
    QuantizationArgs candidate = RangeSearch.candidate(args);
    DType dtype = x.dtype();
    float worst = RangeSearch.worst(importance.isPresent() ? DType.F32 : dtype);
    Improvements improvements = new Improvements(search, min.rows() * min.columns());
    float[] errors = new float[search.steps()];
    for (long i = 0; i < min.rows(); i++) {
      for (long j = 0; j < min.columns(); j++) {
        long columns = Math.min(blockColumns, x.columns() - j * blockColumns);
        HostMatrix block =
            x.slice(
                i * blockRows,
                Math.min(blockRows, x.rows() - i * blockRows),
                j * blockColumns,
                columns);
        long first = j * blockColumns;
        Optional<HostMatrix> weights = importance.map(all -> all.slice(0, 1, first, columns));
        for (int step = 0; step < errors.length; step++) {
          QuantizationParameters parameters =
              search.parameters(
                  FloatAccess.get(min, i, j), FloatAccess.get(max, i, j), step, candidate, dtype);
          errors[step] = error(block, weights, parameters, candidate, search);
        }
        improvements.add(i * min.columns() + j, errors, worst);
      }
    }
    int end = improvements.end();
    for (long i = 0; i < min.rows(); i++) {
      for (long j = 0; j < min.columns(); j++) {
        int step = improvements.best(i * min.columns() + j, end);
        FloatAccess.set(min, i, j, search.shrunk(FloatAccess.get(min, i, j), step, dtype));
        FloatAccess.set(max, i, j, search.shrunk(FloatAccess.get(max, i, j), step, dtype));
      }
    }
  }

  private static float error(
      HostMatrix block,
      Optional<HostMatrix> importance,
      QuantizationParameters parameters,
      QuantizationArgs args,
      RangeSearch search) {
    DType dtype = block.dtype();
    float scale = parameters.scale();
    float zeroPoint = parameters.zeroPoint();
    float[] partial = new float[RangeSearch.PARTIAL_SUMS];
    double sum = 0;
    for (long r = 0; r < block.rows(); r++) {
      Arrays.fill(partial, 0);
      for (long c = 0; c < block.columns(); c++) {
        float value = FloatAccess.get(block, r, c);
        byte code = Rounding.code(value, scale, zeroPoint, args, dtype);
        float rounded = Rounding.value(code, scale, zeroPoint, args, dtype);
        float power =
            importance.isPresent()
                ? FloatAccess.get(importance.get(), 0, c) * search.weighedPower(rounded - value)
                : search.power(Rounding.to(dtype, rounded - value), dtype);
        partial[(int) (c % RangeSearch.PARTIAL_SUMS)] += power;
      }
      sum += RangeSearch.sum(partial);
    }
    return importance.isPresent() ? (float) sum : Rounding.to(dtype, (float) sum);
  }
}
