package dev.quench.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * How long should GPTQ W4A16 of Llama-3-8B with 512 sequences of 2048 tokens take on one H100?
 * Nothing here is measured: work that is counted, divided by rates that are stated. Prints a table
 * in Markdown:
 *
 * <pre>
 * ./mvnw -q package -DskipTests -pl bench -am
 * java -cp bench/target/classes dev.quench.bench.CostModel
 * </pre>
 */
public final class CostModel {
  private static final GpuPeaks GPU = GpuPeaks.H100;

  private static final int LAYERS = 32;
  private static final double TOKENS = 512.0 * 2048;
  private static final double LENGTH = 2048;
  private static final double HIDDEN = 4096;
  private static final double INNER = 14_336;
  private static final double QUERIES = 4096;
  private static final double KEYS = 1024;

  /** Columns that the solver rounds before a product takes their errors to the others. */
  private static final double BLOCK = 128;

  /** Linears by the input that they share. */
  private record Step(double in, double... outs) {
    double weights() {
      return in * outputs();
    }

    double outputs() {
      double sum = 0;
      for (double out : outs) {
        sum += out;
      }
      return sum;
    }
  }

  private static final List<Step> STEPS =
      List.of(
          new Step(HIDDEN, QUERIES, KEYS, KEYS),
          new Step(QUERIES, HIDDEN),
          new Step(HIDDEN, INNER, INNER),
          new Step(INNER, HIDDEN));

  /** Shares of the peaks that such kernels reach: assumptions. */
  private static final double FP32_GEMM = 0.75;

  private static final double BF16_GEMM = 0.65;
  private static final double SYRK = 0.6;
  private static final double OWN_FP32 = 0.5;
  private static final double STREAM = 0.85;

  /** Of the TF32 peak: mma.sync, beside which operands are split and exponentials taken. */
  private static final double ATTENTION = 0.25;

  /**
   * Bytes a second of one thread that copies to or from page-locked memory; slower than the bus.
   */
  private static final double STAGING = 12e9;

  /** Bytes a second of a disk. */
  private static final double DISK = 3e9;

  /** Seconds of 64 columns of a Cholesky factorization, whose kernels wait for each other. */
  private static final double CHOLESKY_CHAIN = 40e-6;

  /** Seconds from a launch to the next that depends on it. */
  private static final double LAUNCH = 3e-6;

  /**
   * Instructions of a warp for a block of 128 columns, as bench/KERNELS.md counts them (279 PTX
   * instructions an element, 1.23 machine instructions for each), and cycles for each of them when
   * the warp is alone on its scheduler.
   */
  private static final double SOLVER_INSTRUCTIONS = 44_000;

  private static final double SOLVER_CYCLES = 2;
  private static final double CLOCK = 1.7e9;

  /** Bytes of device memory for activations: 90 % of what is free, less what a layer needs. */
  private static final double ROOM = 0.9 * 84e9 - 5e9;

  /**
   * How the forward pass computes.
   *
   * @param products of parts of a number, in Hessians
   * @param gemm FLOP/s of the linears
   * @param roundings whether each result is rounded to BF16 by a kernel of its own
   * @param activationBytes of an element that a step leaves to the next one
   * @param batch tokens at a time
   */
  private record Setting(
      String name,
      int products,
      double gemm,
      boolean roundings,
      double activationBytes,
      double batch) {}

  private static final double GEMM_FP32 = FP32_GEMM * GPU.flops(KernelWork.Pipe.FP32);
  private static final double GEMM_BF16 = BF16_GEMM * GPU.flops(KernelWork.Pipe.BF16);

  private static final List<Setting> SETTINGS =
      List.of(
          new Setting("as it is, float32", 6, GEMM_FP32, false, 4, 4096),
          new Setting("as it is, --activations bfloat16", 1, GEMM_FP32, true, 4, 4096),
          new Setting("proposed: BF16 products and stores", 1, GEMM_BF16, false, 2, 8192));

  /** A line of the table. */
  record Term(String name, String amount, double seconds) {}

  private final Setting setting;
  private final List<Term> terms = new ArrayList<>();

  private CostModel(Setting setting) {
    this.setting = setting;
    input();
    forward();
    hessians();
    solver();
    output();
  }

  private void add(String name, double amount, String unit, double seconds) {
    terms.add(new Term(name, String.format(Locale.ROOT, "%.3g %s", amount, unit), seconds));
  }

  private static double weights() {
    return LAYERS * STEPS.stream().mapToDouble(Step::weights).sum();
  }

  private static double stream(double bytes) {
    return bytes / (STREAM * GPU.bytesPerSecond());
  }

  private void input() {
    double bytes = 2 * weights();
    add("weights from disk, a layer ahead, beside the rest", bytes / 1e9, "GB", 0);
    add("weights to the device", bytes / 1e9, "GB", bytes / STAGING);
    double embedded = 4 * TOKENS * HIDDEN;
    add("embeddings to the device", embedded / 1e9, "GB", embedded / STAGING);
  }

  private void forward() {
    double linears = forwardFlops();
    add("linears", linears / 1e15, "PFLOP", linears / setting.gemm);
    double scores = TOKENS * (LENGTH + 1) / 2 * QUERIES;
    // Each product of F32 is three of TF32.
    double attention = LAYERS * 3 * 4 * scores;
    add(
        "attention (mma.sync, 3 × TF32)",
        attention / 1e15,
        "PFLOP",
        attention / (ATTENTION * GPU.flops(KernelWork.Pipe.TF32)));
    double elementwise = LAYERS * TOKENS * elementwiseBytes();
    add("norms, rope, activations, roundings", elementwise / 1e12, "TB", stream(elementwise));
    double side = Math.max(QUERIES, INNER);
    double held = TOKENS * (4 * HIDDEN + setting.activationBytes * side);
    double onHost = Math.max(0, held - ROOM);
    // Each of four steps and the end of the last visits each batch.
    double moved = LAYERS * 2 * (STEPS.size() + 1) * onHost;
    add(
        "activations that don't fit on the device, up and down again",
        moved / 1e9,
        "GB",
        moved / STAGING);
  }

  static double forwardFlops() {
    return 2 * TOKENS * weights();
  }

  /** Bytes of a token and layer. Norms are computed for the Hessian and for the linears. */
  private double elementwiseBytes() {
    double norms = 4 * 8 * HIDDEN;
    double rope = 8 * (QUERIES + KEYS);
    double gated = 12 * INNER;
    double bytes = norms + rope + gated;
    if (!setting.roundings) {
      return bytes;
    }
    // A rounding, the product with the weight and a rounding more for each norm; a rounding of each
    // result; what goes to the residual stream is added by a kernel of its own and rounded again.
    double roundedNorms = 4 * 3 * 8 * HIDDEN;
    double results = 8 * (QUERIES + 2 * KEYS + 2 * INNER + 2 * HIDDEN);
    double residual = 2 * (12 + 8) * HIDDEN;
    double attended = 8 * (QUERIES + KEYS + QUERIES + INNER);
    return bytes + roundedNorms + results + residual + attended;
  }

  private void hessians() {
    double squares = STEPS.stream().mapToDouble(step -> step.in * step.in).sum();
    double flops = hessianFlops();
    add(
        setting.products == 1 ? "Hessians" : "Hessians, six products of parts",
        setting.products * flops / 1e15,
        "PFLOP",
        setting.products * flops / (SYRK * GPU.flops(KernelWork.Pipe.BF16)));
    double inputs = STEPS.stream().mapToDouble(Step::in).sum();
    double split = LAYERS * TOKENS * 10 * inputs;
    add("their operands split into parts", split / 1e12, "TB", stream(split));
    double sums = LAYERS * TOKENS / setting.batch * 8 * squares / 2;
    add("their sums read and written for each batch", sums / 1e12, "TB", stream(sums));
  }

  static double hessianFlops() {
    return LAYERS * TOKENS * STEPS.stream().mapToDouble(step -> step.in * step.in).sum();
  }

  private void solver() {
    double cubes = STEPS.stream().mapToDouble(step -> Math.pow(step.in, 3)).sum();
    double factor = LAYERS * 2 * cubes / 3;
    double chain = LAYERS * CHOLESKY_CHAIN * STEPS.stream().mapToDouble(step -> step.in / 64).sum();
    double rate = OWN_FP32 * GPU.flops(KernelWork.Pipe.FP32);
    add("Cholesky factors and inverses", factor / 1e12, "TFLOP", factor / rate);
    add("their chain of launches", chain / CHOLESKY_CHAIN, "blocks of 64", chain);
    double blocks =
        LAYERS * STEPS.stream().mapToDouble(step -> step.outs.length * step.in / BLOCK).sum();
    double block = SOLVER_INSTRUCTIONS * SOLVER_CYCLES / CLOCK + 2 * LAUNCH;
    add("blocks of 128 columns, latency", blocks, "launches", blocks * block);
    double products = LAYERS * STEPS.stream().mapToDouble(step -> step.weights() * step.in).sum();
    add("errors to the columns that are left", products / 1e12, "TFLOP", products / GEMM_FP32);
    // To F32, to BF16, ranges, transposed, reordered, codes back, dequantized: bytes a weight.
    double moved = (6 + 6 + 2 + 8 + 8 + 2 + 2 + 5) * weights();
    add("weights converted, transposed, dequantized", moved / 1e12, "TB", stream(moved));
  }

  private void output() {
    double bytes = (0.5 + 2.0 / 128) * weights();
    add("codes and scales from the device", bytes / 1e9, "GB", bytes / STAGING);
    add("to disk, written behind the rest", bytes / 1e9, "GB", 0);
    double last = bytes / LAYERS + 2 * 2 * 128_256 * HIDDEN;
    add("the last of it, embeddings and head", last / 1e9, "GB", last / DISK);
  }

  /** The terms of each setting, the same ones in the same order. */
  static List<List<Term>> all() {
    return SETTINGS.stream().map(setting -> List.copyOf(new CostModel(setting).terms)).toList();
  }

  /** Prints the table. */
  public static void main(String[] arguments) {
    StringBuilder head = new StringBuilder("| seconds |");
    StringBuilder rule = new StringBuilder("|---|");
    SETTINGS.forEach(
        setting -> {
          head.append(' ').append(setting.name).append(" |");
          rule.append("---|");
        });
    System.out.println(head + "\n" + rule);
    List<List<Term>> all = all();
    for (int i = 0; i < all.getFirst().size(); i++) {
      StringBuilder line = new StringBuilder("| " + all.get(1).get(i).name + " |");
      for (List<Term> terms : all) {
        Term term = terms.get(i);
        line.append(String.format(Locale.ROOT, " %.1f (%s) |", term.seconds, term.amount));
      }
      System.out.println(line);
    }
    StringBuilder total = new StringBuilder("| **in all** |");
    for (List<Term> terms : all) {
      double sum = terms.stream().mapToDouble(Term::seconds).sum();
      total.append(String.format(Locale.ROOT, " **%.0f** |", sum));
    }
    System.out.println(total);
  }
}
