package dev.quench.cuda;

import dev.quench.InvalidInputException;
import dev.quench.device.Activation;
import dev.quench.device.AttentionSpec;
import dev.quench.device.Device;
import dev.quench.device.Tensor;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.RangeSearch;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;

/**
 * A GPU that runs CUDA, compute capability 8.0 or later. Operations are kernels that are launched
 * one after the other in one stream, so that calls return before they are done.
 */
public final class CudaDevice implements Device {
  /** Device memory that is left to the driver's and cuBLAS's own needs: at most this, */
  private static final long MAX_RESERVE = 512 << 20;

  /** and at most this share of what is free. */
  private static final int RESERVED_SHARE = 8;

  /** Queues that keep the device, the bus and the host's cores busy at the same time. */
  private static final int MAX_LANES = 4;

  /** Memory that a lane should have: a few copies of the largest tensors of large models. */
  private static final long LANE_MEMORY = 4L << 30;

  private final CudaContext context;
  private final KernelImages images;
  private final Timeline timeline;
  private final Uploads uploads;
  private final Kernels kernels;
  private final CudaMemory memory;
  private final Cublas cublas;
  private final CudaMoving moving;
  private final CudaMatrixProducts products;
  private final CudaHadamard hadamard;
  private final CudaQuantization quantization;
  private final CudaSolver solver;
  private final CudaModel model;
  private final CudaAttention attention;
  private final List<CudaDevice> lanes = new ArrayList<>();

  private CudaDevice(CudaContext context, KernelImages images, long memoryLimit) {
    this.context = context;
    this.images = images;
    timeline = new Timeline(context);
    uploads = new Uploads(context, timeline);
    kernels = new Kernels(context, uploads, images);
    memory = new CudaMemory(context, timeline, uploads, memoryLimit);
    cublas = new Cublas(context, uploads);
    moving = new CudaMoving(kernels, memory);
    products = new CudaMatrixProducts(kernels, memory, cublas);
    hadamard = new CudaHadamard(kernels);
    quantization = new CudaQuantization(kernels, memory);
    solver = new CudaSolver(kernels);
    model = new CudaModel(kernels, memory);
    attention = new CudaAttention(kernels, memory);
  }

  /**
   * Opens the first device.
   *
   * @param memoryLimit most bytes of its memory to take; what is free if that is less
   * @throws CudaException if there is no driver, no device or no kernels, with what would help
   */
  public static CudaDevice open(long memoryLimit) {
    return switch (CudaProbe.first()) {
      case CudaProbe.Unusable(String reason) ->
          throw new CudaException("no CUDA device: " + reason);
      case CudaProbe.Usable(CudaProperties device, CudaKernels _) -> open(device, memoryLimit);
    };
  }

  private static CudaDevice open(CudaProperties device, long memoryLimit) {
    CudaDriver driver = new CudaDriver(DriverLibrary.find().orElseThrow());
    CudaContext context = CudaContext.open(driver, device);
    boolean opened = false;
    try {
      long free = context.freeMemory();
      long usable = free - Math.min(MAX_RESERVE, free / RESERVED_SHARE);
      CudaDevice result =
          new CudaDevice(context, KernelImages.load(), Math.min(usable, memoryLimit));
      opened = true;
      return result;
    } finally {
      if (!opened) {
        context.close();
      }
    }
  }

  Kernels kernels() {
    return kernels;
  }

  CudaMemory memory() {
    return memory;
  }

  @Override
  public String description() {
    return context.properties().toString();
  }

  @Override
  public CudaScope openScope() {
    return memory.openScope();
  }

  @Override
  public void download(Tensor source, HostTensor target) {
    memory.download(CudaMatrix.of(source), target);
  }

  /**
   * {@inheritDoc}
   *
   * <p>Each has streams and a pool of its own; together they take no more memory than this device
   * may. There are fewer where there is little memory.
   */
  @Override
  public List<Device> lanes() {
    int count = (int) Math.min(MAX_LANES, memory.limit() / LANE_MEMORY);
    if (count <= 1) {
      return List.of(this);
    }
    long share = (memory.limit() - memory.release()) / count;
    while (lanes.size() < count) {
      CudaContext queue = CudaContext.open(context.driver(), context.properties());
      lanes.add(new CudaDevice(queue, images, share));
    }
    return List.copyOf(lanes);
  }

  @Override
  public boolean sharesHostMemory() {
    return false;
  }

  @Override
  public OptionalLong memoryLimit() {
    return OptionalLong.of(memory.limit());
  }

  @Override
  public void synchronize() {
    context.enter();
    context.synchronize();
  }

  @Override
  public void close() {
    lanes.forEach(CudaDevice::close);
    context.enter();
    uploads.close();
    cublas.close();
    memory.close();
    kernels.close();
    timeline.close();
    context.close();
  }

  @Override
  public void gemm(
      float alpha,
      Tensor a,
      boolean transposeA,
      Tensor b,
      boolean transposeB,
      float beta,
      Tensor c) {
    products.gemm(alpha, a, transposeA, b, transposeB, beta, c);
  }

  @Override
  public void syrk(Tensor x, Tensor h) {
    products.syrk(x, h);
  }

  @Override
  public OptionalLong reverseCholesky(Tensor h) {
    return products.reverseCholesky(h);
  }

  @Override
  public void invertUpper(Tensor r) {
    products.invertUpper(r);
  }

  @Override
  public void convert(Tensor source, Tensor target) {
    moving.convert(source, target);
  }

  @Override
  public void transpose(Tensor source, Tensor target) {
    moving.transpose(source, target);
  }

  @Override
  public void gatherRows(Tensor source, Tensor index, Tensor target) {
    moving.gatherRows(source, index, target);
  }

  @Override
  public void gatherSymmetric(Tensor lower, Tensor index, Tensor target) {
    moving.gatherSymmetric(lower, index, target);
  }

  @Override
  public void diagonal(Tensor matrix, Tensor values) {
    moving.diagonal(matrix, values);
  }

  @Override
  public void setDiagonal(Tensor values, Tensor matrix) {
    moving.setDiagonal(values, matrix);
  }

  @Override
  public void hadamard(Tensor x, long size) {
    hadamard.hadamard(x, size);
  }

  @Override
  public void observe(Tensor x, long blockRows, long blockColumns, Tensor min, Tensor max) {
    quantization.observe(x, blockRows, blockColumns, min, max);
  }

  @Override
  public void searchRange(
      Tensor x, QuantizationArgs args, RangeSearch search, Tensor min, Tensor max) {
    throw new InvalidInputException(
        "observers that search for ranges, such as mse, aren't on CUDA yet; use --device cpu.");
  }

  @Override
  public void quantizationParameters(
      Tensor min,
      Tensor max,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint) {
    quantization.quantizationParameters(min, max, args, globalScale, scale, zeroPoint);
  }

  @Override
  public void quantize(
      Tensor x,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor codes) {
    quantization.quantize(x, scale, zeroPoint, args, globalScale, codes);
  }

  @Override
  public void quantizeToNearest(
      Tensor x,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint,
      Tensor codes) {
    quantization.quantizeToNearest(x, args, globalScale, scale, zeroPoint, codes);
  }

  @Override
  public void dequantize(
      Tensor codes,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor x) {
    quantization.dequantize(codes, scale, zeroPoint, args, globalScale, x);
  }

  @Override
  public void pack(Tensor codes, int bits, Tensor packed) {
    quantization.pack(codes, bits, packed);
  }

  @Override
  public void unpack(Tensor packed, int bits, Tensor codes) {
    quantization.unpack(packed, bits, codes);
  }

  @Override
  public void gptqBlock(
      Tensor w,
      Tensor u,
      Tensor scale,
      Tensor zeroPoint,
      Tensor group,
      QuantizationArgs args,
      DType roundTo,
      Tensor codes,
      Tensor error,
      Tensor loss) {
    solver.gptqBlock(w, u, scale, zeroPoint, group, args, roundTo, codes, error, loss);
  }

  @Override
  public void add(Tensor x, Tensor y) {
    model.add(x, y);
  }

  @Override
  public void round(Tensor x, DType dtype) {
    model.round(x, dtype);
  }

  @Override
  public void scaleColumns(Tensor factors, Tensor y) {
    model.scaleColumns(factors, y);
  }

  @Override
  public void addRow(Tensor bias, Tensor y) {
    model.addRow(bias, y);
  }

  @Override
  public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) {
    model.rmsNorm(x, weight, epsilon, y);
  }

  @Override
  public void rope(Tensor x, int headDim, Tensor positions, Tensor cos, Tensor sin) {
    model.rope(x, headDim, positions, cos, sin);
  }

  @Override
  public void attention(Tensor q, Tensor k, Tensor v, AttentionSpec spec, long[] starts, Tensor y) {
    attention.attention(q, k, v, spec, starts, y);
  }

  @Override
  public void gatedActivation(Activation activation, Tensor gate, Tensor up, Tensor y) {
    model.gatedActivation(activation, gate, up, y);
  }

  @Override
  public void logProbability(Tensor logits, Tensor targets, Tensor out) {
    model.logProbability(logits, targets, out);
  }
}
