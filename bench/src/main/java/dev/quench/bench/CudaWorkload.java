package dev.quench.bench;

import dev.quench.bench.CudaForward.Elementwise;
import dev.quench.bench.CudaMatrices.Syrk;
import dev.quench.bench.CudaMoving.Way;
import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.tensor.DType;

/**
 * Each kernel at work, on a weight, a Hessian or a batch of tokens: the list from which benchmarks
 * ({@link CudaKernelBenchmark}) and the table of kernels ({@code bench/KERNELS.md}) are made.
 */
public enum CudaWorkload {
  OBSERVE_GROUPS_F32(CudaRounding.observe(DType.F32, true)),
  OBSERVE_ROWS_F32(CudaRounding.observe(DType.F32, false)),
  OBSERVE_GROUPS_F16(CudaRounding.observe(DType.F16, true)),
  OBSERVE_ROWS_F16(CudaRounding.observe(DType.F16, false)),
  OBSERVE_GROUPS_BF16(CudaRounding.observe(DType.BF16, true)),
  OBSERVE_ROWS_BF16(CudaRounding.observe(DType.BF16, false)),
  PARAMETERS_F32(CudaRounding.parameters(DType.F32)),
  PARAMETERS_F16(CudaRounding.parameters(DType.F16)),
  PARAMETERS_BF16(CudaRounding.parameters(DType.BF16)),
  NEAREST_INT4_GROUPS_F32(CudaRounding.nearest(DType.F32, CudaRounding.args(Type.INT, 4, 128))),
  NEAREST_INT8_ROWS_F32(CudaRounding.nearest(DType.F32, CudaRounding.args(Type.INT, 8, 0))),
  NEAREST_E4M3_GROUPS_F32(CudaRounding.nearest(DType.F32, CudaRounding.args(Type.FLOAT, 8, 128))),
  NEAREST_E4M3_ROWS_F32(CudaRounding.nearest(DType.F32, CudaRounding.args(Type.FLOAT, 8, 0))),
  NEAREST_INT4_GROUPS_F16(CudaRounding.nearest(DType.F16, CudaRounding.args(Type.INT, 4, 128))),
  NEAREST_INT8_ROWS_F16(CudaRounding.nearest(DType.F16, CudaRounding.args(Type.INT, 8, 0))),
  NEAREST_E4M3_GROUPS_F16(CudaRounding.nearest(DType.F16, CudaRounding.args(Type.FLOAT, 8, 128))),
  NEAREST_E4M3_ROWS_F16(CudaRounding.nearest(DType.F16, CudaRounding.args(Type.FLOAT, 8, 0))),
  NEAREST_INT4_GROUPS_BF16(CudaRounding.nearest(DType.BF16, CudaRounding.args(Type.INT, 4, 128))),
  NEAREST_INT8_ROWS_BF16(CudaRounding.nearest(DType.BF16, CudaRounding.args(Type.INT, 8, 0))),
  NEAREST_E4M3_GROUPS_BF16(CudaRounding.nearest(DType.BF16, CudaRounding.args(Type.FLOAT, 8, 128))),
  NEAREST_E4M3_ROWS_BF16(CudaRounding.nearest(DType.BF16, CudaRounding.args(Type.FLOAT, 8, 0))),
  QUANTIZE_INT8_GROUPS_F32(CudaRounding.quantize(DType.F32, CudaRounding.args(Type.INT, 8, 128))),
  QUANTIZE_INT8_GROUPS_OF_48_F32(
      CudaRounding.quantize(DType.F32, CudaRounding.args(Type.INT, 8, 48))),
  QUANTIZE_E4M3_GROUPS_F32(CudaRounding.quantize(DType.F32, CudaRounding.args(Type.FLOAT, 8, 128))),
  QUANTIZE_INT8_GROUPS_F16(CudaRounding.quantize(DType.F16, CudaRounding.args(Type.INT, 8, 128))),
  QUANTIZE_INT8_GROUPS_OF_48_F16(
      CudaRounding.quantize(DType.F16, CudaRounding.args(Type.INT, 8, 48))),
  QUANTIZE_E4M3_GROUPS_F16(CudaRounding.quantize(DType.F16, CudaRounding.args(Type.FLOAT, 8, 128))),
  QUANTIZE_INT8_GROUPS_BF16(CudaRounding.quantize(DType.BF16, CudaRounding.args(Type.INT, 8, 128))),
  QUANTIZE_INT8_GROUPS_OF_48_BF16(
      CudaRounding.quantize(DType.BF16, CudaRounding.args(Type.INT, 8, 48))),
  QUANTIZE_E4M3_GROUPS_BF16(
      CudaRounding.quantize(DType.BF16, CudaRounding.args(Type.FLOAT, 8, 128))),
  DEQUANTIZE_INT8_GROUPS_F32(
      CudaRounding.dequantize(DType.F32, CudaRounding.args(Type.INT, 8, 128))),
  DEQUANTIZE_INT8_GROUPS_OF_48_F32(
      CudaRounding.dequantize(DType.F32, CudaRounding.args(Type.INT, 8, 48))),
  DEQUANTIZE_E4M3_GROUPS_F32(
      CudaRounding.dequantize(DType.F32, CudaRounding.args(Type.FLOAT, 8, 128))),
  DEQUANTIZE_INT8_GROUPS_F16(
      CudaRounding.dequantize(DType.F16, CudaRounding.args(Type.INT, 8, 128))),
  DEQUANTIZE_INT8_GROUPS_OF_48_F16(
      CudaRounding.dequantize(DType.F16, CudaRounding.args(Type.INT, 8, 48))),
  DEQUANTIZE_E4M3_GROUPS_F16(
      CudaRounding.dequantize(DType.F16, CudaRounding.args(Type.FLOAT, 8, 128))),
  DEQUANTIZE_INT8_GROUPS_BF16(
      CudaRounding.dequantize(DType.BF16, CudaRounding.args(Type.INT, 8, 128))),
  DEQUANTIZE_INT8_GROUPS_OF_48_BF16(
      CudaRounding.dequantize(DType.BF16, CudaRounding.args(Type.INT, 8, 48))),
  DEQUANTIZE_E4M3_GROUPS_BF16(
      CudaRounding.dequantize(DType.BF16, CudaRounding.args(Type.FLOAT, 8, 128))),
  NEAREST_NVFP4_F32(CudaRounding.nearest(DType.F32, CudaRounding.preset("NVFP4A16"))),
  QUANTIZE_NVFP4_F32(CudaRounding.quantize(DType.F32, CudaRounding.preset("NVFP4A16"))),
  DEQUANTIZE_NVFP4_F32(CudaRounding.dequantize(DType.F32, CudaRounding.preset("NVFP4A16"))),
  NEAREST_MXFP4_F32(CudaRounding.nearest(DType.F32, CudaRounding.preset("MXFP4A16"))),
  QUANTIZE_MXFP4_F32(CudaRounding.quantize(DType.F32, CudaRounding.preset("MXFP4A16"))),
  DEQUANTIZE_MXFP4_F32(CudaRounding.dequantize(DType.F32, CudaRounding.preset("MXFP4A16"))),
  NEAREST_MXFP8_F32(CudaRounding.nearest(DType.F32, CudaRounding.preset("MXFP8A16"))),
  QUANTIZE_MXFP8_F32(CudaRounding.quantize(DType.F32, CudaRounding.preset("MXFP8A16"))),
  DEQUANTIZE_MXFP8_F32(CudaRounding.dequantize(DType.F32, CudaRounding.preset("MXFP8A16"))),
  NEAREST_NVFP4_F16(CudaRounding.nearest(DType.F16, CudaRounding.preset("NVFP4A16"))),
  QUANTIZE_NVFP4_F16(CudaRounding.quantize(DType.F16, CudaRounding.preset("NVFP4A16"))),
  DEQUANTIZE_NVFP4_F16(CudaRounding.dequantize(DType.F16, CudaRounding.preset("NVFP4A16"))),
  NEAREST_MXFP4_F16(CudaRounding.nearest(DType.F16, CudaRounding.preset("MXFP4A16"))),
  QUANTIZE_MXFP4_F16(CudaRounding.quantize(DType.F16, CudaRounding.preset("MXFP4A16"))),
  DEQUANTIZE_MXFP4_F16(CudaRounding.dequantize(DType.F16, CudaRounding.preset("MXFP4A16"))),
  NEAREST_MXFP8_F16(CudaRounding.nearest(DType.F16, CudaRounding.preset("MXFP8A16"))),
  QUANTIZE_MXFP8_F16(CudaRounding.quantize(DType.F16, CudaRounding.preset("MXFP8A16"))),
  DEQUANTIZE_MXFP8_F16(CudaRounding.dequantize(DType.F16, CudaRounding.preset("MXFP8A16"))),
  NEAREST_NVFP4_BF16(CudaRounding.nearest(DType.BF16, CudaRounding.preset("NVFP4A16"))),
  QUANTIZE_NVFP4_BF16(CudaRounding.quantize(DType.BF16, CudaRounding.preset("NVFP4A16"))),
  DEQUANTIZE_NVFP4_BF16(CudaRounding.dequantize(DType.BF16, CudaRounding.preset("NVFP4A16"))),
  NEAREST_MXFP4_BF16(CudaRounding.nearest(DType.BF16, CudaRounding.preset("MXFP4A16"))),
  QUANTIZE_MXFP4_BF16(CudaRounding.quantize(DType.BF16, CudaRounding.preset("MXFP4A16"))),
  DEQUANTIZE_MXFP4_BF16(CudaRounding.dequantize(DType.BF16, CudaRounding.preset("MXFP4A16"))),
  NEAREST_MXFP8_BF16(CudaRounding.nearest(DType.BF16, CudaRounding.preset("MXFP8A16"))),
  QUANTIZE_MXFP8_BF16(CudaRounding.quantize(DType.BF16, CudaRounding.preset("MXFP8A16"))),
  DEQUANTIZE_MXFP8_BF16(CudaRounding.dequantize(DType.BF16, CudaRounding.preset("MXFP8A16"))),
  PACK_INT4(CudaRounding.pack(CudaRounding.args(Type.INT, 4, 128), false)),
  UNPACK_INT4(CudaRounding.pack(CudaRounding.args(Type.INT, 4, 128), true)),
  PACK_E2M1(CudaRounding.pack(CudaRounding.preset("NVFP4A16"), false)),
  UNPACK_E2M1(CudaRounding.pack(CudaRounding.preset("NVFP4A16"), true)),
  SEARCH_INT4_F32(CudaSearching.search(DType.F32, "W4A16")),
  SEARCH_E4M3_F32(CudaSearching.search(DType.F32, "FP8_BLOCK")),
  SEARCH_E2M1_F32(CudaSearching.search(DType.F32, "MXFP4A16")),
  SEARCH_INT4_F16(CudaSearching.search(DType.F16, "W4A16")),
  SEARCH_E4M3_F16(CudaSearching.search(DType.F16, "FP8_BLOCK")),
  SEARCH_E2M1_F16(CudaSearching.search(DType.F16, "MXFP4A16")),
  SEARCH_INT4_BF16(CudaSearching.search(DType.BF16, "W4A16")),
  SEARCH_E4M3_BF16(CudaSearching.search(DType.BF16, "FP8_BLOCK")),
  SEARCH_E2M1_BF16(CudaSearching.search(DType.BF16, "MXFP4A16")),
  CONVERT_F32_F16(CudaMoving.move(Way.CONVERT, DType.F32, DType.F16)),
  CONVERT_F32_BF16(CudaMoving.move(Way.CONVERT, DType.F32, DType.BF16)),
  CONVERT_F16_F32(CudaMoving.move(Way.CONVERT, DType.F16, DType.F32)),
  CONVERT_F16_BF16(CudaMoving.move(Way.CONVERT, DType.F16, DType.BF16)),
  CONVERT_BF16_F32(CudaMoving.move(Way.CONVERT, DType.BF16, DType.F32)),
  CONVERT_BF16_F16(CudaMoving.move(Way.CONVERT, DType.BF16, DType.F16)),
  CONVERT_I8_F32(CudaMoving.move(Way.CONVERT, DType.I8, DType.F32)),
  COPY_I8(CudaMoving.move(Way.CONVERT, DType.I8, DType.I8)),
  COPY_BF16(CudaMoving.move(Way.CONVERT, DType.BF16, DType.BF16)),
  COPY_F32(CudaMoving.move(Way.CONVERT, DType.F32, DType.F32)),
  GATHER_ROWS_F32_F16(CudaMoving.move(Way.GATHER_ROWS, DType.F32, DType.F16)),
  GATHER_ROWS_F32_BF16(CudaMoving.move(Way.GATHER_ROWS, DType.F32, DType.BF16)),
  GATHER_ROWS_F16_F32(CudaMoving.move(Way.GATHER_ROWS, DType.F16, DType.F32)),
  GATHER_ROWS_F16_BF16(CudaMoving.move(Way.GATHER_ROWS, DType.F16, DType.BF16)),
  GATHER_ROWS_BF16_F32(CudaMoving.move(Way.GATHER_ROWS, DType.BF16, DType.F32)),
  GATHER_ROWS_BF16_F16(CudaMoving.move(Way.GATHER_ROWS, DType.BF16, DType.F16)),
  GATHER_ROWS_I8_F32(CudaMoving.move(Way.GATHER_ROWS, DType.I8, DType.F32)),
  GATHER_ROWS_I8(CudaMoving.move(Way.GATHER_ROWS, DType.I8, DType.I8)),
  GATHER_ROWS_BF16(CudaMoving.move(Way.GATHER_ROWS, DType.BF16, DType.BF16)),
  GATHER_ROWS_F32(CudaMoving.move(Way.GATHER_ROWS, DType.F32, DType.F32)),
  TRANSPOSE_F32_F16(CudaMoving.move(Way.TRANSPOSE, DType.F32, DType.F16)),
  TRANSPOSE_F32_BF16(CudaMoving.move(Way.TRANSPOSE, DType.F32, DType.BF16)),
  TRANSPOSE_F16_F32(CudaMoving.move(Way.TRANSPOSE, DType.F16, DType.F32)),
  TRANSPOSE_F16_BF16(CudaMoving.move(Way.TRANSPOSE, DType.F16, DType.BF16)),
  TRANSPOSE_BF16_F32(CudaMoving.move(Way.TRANSPOSE, DType.BF16, DType.F32)),
  TRANSPOSE_BF16_F16(CudaMoving.move(Way.TRANSPOSE, DType.BF16, DType.F16)),
  TRANSPOSE_I8_F32(CudaMoving.move(Way.TRANSPOSE, DType.I8, DType.F32)),
  TRANSPOSE_I8(CudaMoving.move(Way.TRANSPOSE, DType.I8, DType.I8)),
  TRANSPOSE_BF16(CudaMoving.move(Way.TRANSPOSE, DType.BF16, DType.BF16)),
  TRANSPOSE_F32(CudaMoving.move(Way.TRANSPOSE, DType.F32, DType.F32)),
  TRANSPOSE_I64(CudaMoving.move(Way.TRANSPOSE, DType.I64, DType.I64)),
  GATHER_SYMMETRIC(CudaMoving.gatherSymmetric()),
  DIAGONAL(CudaMoving.diagonal(false)),
  SET_DIAGONAL(CudaMoving.diagonal(true)),
  SYRK_NARROW(CudaMatrices.syrk(Syrk.NARROW)),
  SYRK_WIDE(CudaMatrices.syrk(Syrk.WIDE)),
  SYRK_MMA(CudaMatrices.syrk(Syrk.MMA)),
  SYRK_F32(CudaMatrices.syrkSplit(Syrk.NARROW)),
  SYRK_UNALIGNED(CudaMatrices.syrkUnaligned(Syrk.NARROW)),
  CHOLESKY(CudaMatrices.cholesky()),
  INVERT(CudaMatrices.invert()),
  GPTQ_INT4(CudaMatrices.gptq(CudaRounding.args(Type.INT, 4, 128))),
  GPTQ_E4M3(CudaMatrices.gptq(CudaRounding.args(Type.FLOAT, 8, 0))),
  GPTQ_E2M1(CudaMatrices.gptq(CudaRounding.preset("MXFP4A16"))),
  HADAMARD_512(CudaMatrices.hadamard(512)),
  HADAMARD_4096(CudaMatrices.hadamard(4096)),
  HADAMARD_BASE_12(CudaMatrices.hadamard(12 * 512)),
  HADAMARD_BASE_20(CudaMatrices.hadamard(20 * 512)),
  HADAMARD_BASE_28(CudaMatrices.hadamard(28 * 512)),
  HADAMARD_BASE_36(CudaMatrices.hadamard(36 * 256)),
  HADAMARD_65536(CudaMatrices.hadamard(1 << 16)),
  ADD(CudaForward.elementwise(Elementwise.ADD)),
  ADD_ROW(CudaForward.elementwise(Elementwise.ADD_ROW)),
  SCALE_COLUMNS(CudaForward.elementwise(Elementwise.SCALE_COLUMNS)),
  ROUND_F16(CudaForward.round(DType.F16)),
  ROUND_BF16(CudaForward.round(DType.BF16)),
  RMS_NORM(CudaForward.rmsNorm()),
  GATED_SILU(CudaForward.gatedActivation()),
  ROPE(CudaForward.rope()),
  ATTENTION_32(CudaForward.attention(32)),
  ATTENTION_64(CudaForward.attention(64)),
  ATTENTION_128(CudaForward.attention(128)),
  ATTENTION_256(CudaForward.attention(256)),
  LOG_PROBABILITY(CudaForward.logProbability());

  private final CudaOperation operation;

  CudaWorkload(CudaOperation operation) {
    this.operation = operation;
  }

  CudaOperation operation() {
    return operation;
  }

  /** Whether it is for devices of that compute capability, such as 90. */
  boolean runsOn(int capability) {
    return switch (this) {
      case SYRK_MMA -> capability < HOPPER;
      case SYRK_NARROW, SYRK_WIDE, SYRK_F32, SYRK_UNALIGNED -> capability == HOPPER;
      default -> true;
    };
  }

  private static final int HOPPER = 90;
}
