package dev.quench.device;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.quench.QuenchException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.file.Path;

/**
 * The part of oneDNN's C interface ({@code oneapi/dnnl/dnnl.h}, version 3) that Quench calls, and
 * the OpenMP call that limits it to the calling thread. The handles take the function's address as
 * their first argument, so that they are constants whether or not there is a library to load.
 */
@SuppressWarnings("restricted") // native access is what this class is for
final class OneDnn {
  private static final Linker LINKER = Linker.nativeLinker();

  private static final MethodHandle DNNL_SGEMM =
      LINKER.downcallHandle(
          FunctionDescriptor.of(
              JAVA_INT,
              JAVA_BYTE,
              JAVA_BYTE,
              JAVA_LONG,
              JAVA_LONG,
              JAVA_LONG,
              JAVA_FLOAT,
              ADDRESS,
              JAVA_LONG,
              ADDRESS,
              JAVA_LONG,
              JAVA_FLOAT,
              ADDRESS,
              JAVA_LONG));
  private static final MethodHandle DNNL_VERSION =
      LINKER.downcallHandle(FunctionDescriptor.of(ADDRESS));
  private static final MethodHandle DNNL_GET_EFFECTIVE_CPU_ISA =
      LINKER.downcallHandle(FunctionDescriptor.of(JAVA_INT));
  private static final MethodHandle OMP_SET_NUM_THREADS =
      LINKER.downcallHandle(FunctionDescriptor.ofVoid(JAVA_INT));

  /** {@code dnnl_version_t} as far as it is read. */
  private static final StructLayout VERSION =
      MemoryLayout.structLayout(
          JAVA_INT.withName("major"), JAVA_INT.withName("minor"), JAVA_INT.withName("patch"));

  private static final VarHandle MAJOR = VERSION.varHandle(PathElement.groupElement("major"));
  private static final VarHandle MINOR = VERSION.varHandle(PathElement.groupElement("minor"));
  private static final VarHandle PATCH = VERSION.varHandle(PathElement.groupElement("patch"));

  /** The major version whose interface this class declares. */
  private static final int SUPPORTED_MAJOR = 3;

  /** {@code dnnl_version_t}. */
  record Version(int major, int minor, int patch) {
    @Override
    public String toString() {
      return major + "." + minor + "." + patch;
    }
  }

  private final MemorySegment sgemm;
  private final MemorySegment ompSetNumThreads;
  private final Version version;
  private final String instructionSet;

  private OneDnn(SymbolLookup library) {
    sgemm = address(library, "dnnl_sgemm");
    // Found through libdnnl, this is the function of the OpenMP library that libdnnl is linked to.
    ompSetNumThreads = address(library, "omp_set_num_threads");
    version = version(address(library, "dnnl_version"));
    if (version.major != SUPPORTED_MAJOR) {
      throw new QuenchException("oneDNN " + version + " is not version " + SUPPORTED_MAJOR);
    }
    instructionSet = instructionSet(address(library, "dnnl_get_effective_cpu_isa"));
  }

  /**
   * Loads the library; it stays loaded.
   *
   * @throws QuenchException if it can't be loaded or isn't a known version
   */
  static OneDnn load(Path library) {
    try {
      return new OneDnn(SymbolLookup.libraryLookup(library, Arena.global()));
    } catch (IllegalArgumentException e) {
      throw new QuenchException("can't load " + library + ": " + e.getMessage(), e);
    }
  }

  Version version() {
    return version;
  }

  /** The instruction set that the library chose for this machine, such as {@code avx2}. */
  String instructionSet() {
    return instructionSet;
  }

  /**
   * {@code dnnl_sgemm} on the calling thread alone.
   *
   * @throws QuenchException if it returns another status than success
   */
  void sgemm(
      boolean transposeA,
      boolean transposeB,
      long m,
      long n,
      long k,
      float alpha,
      MemorySegment a,
      long lda,
      MemorySegment b,
      long ldb,
      float beta,
      MemorySegment c,
      long ldc) {
    int status;
    try {
      // OpenMP keeps this setting for each thread; setting it again costs nanoseconds.
      OMP_SET_NUM_THREADS.invokeExact(ompSetNumThreads, 1);
      status =
          (int)
              DNNL_SGEMM.invokeExact(
                  sgemm,
                  (byte) (transposeA ? 'T' : 'N'),
                  (byte) (transposeB ? 'T' : 'N'),
                  m,
                  n,
                  k,
                  alpha,
                  a,
                  lda,
                  b,
                  ldb,
                  beta,
                  c,
                  ldc);
    } catch (Throwable e) {
      throw unexpected("dnnl_sgemm", e);
    }
    if (status != 0) {
      throw new QuenchException(
          "dnnl_sgemm returned %s for m %d, n %d, k %d, lda %d%s, ldb %d%s, ldc %d"
              .formatted(
                  statusName(status),
                  m,
                  n,
                  k,
                  lda,
                  transposeA ? " (transposed)" : "",
                  ldb,
                  transposeB ? " (transposed)" : "",
                  ldc));
    }
  }

  private static Version version(MemorySegment function) {
    try {
      MemorySegment struct =
          ((MemorySegment) DNNL_VERSION.invokeExact(function)).reinterpret(VERSION.byteSize());
      return new Version(
          (int) MAJOR.get(struct, 0L), (int) MINOR.get(struct, 0L), (int) PATCH.get(struct, 0L));
    } catch (Throwable e) {
      throw unexpected("dnnl_version", e);
    }
  }

  private static String instructionSet(MemorySegment function) {
    int isa;
    try {
      isa = (int) DNNL_GET_EFFECTIVE_CPU_ISA.invokeExact(function);
    } catch (Throwable e) {
      throw unexpected("dnnl_get_effective_cpu_isa", e);
    }
    return switch (isa) {
      case 0x1 -> "sse41";
      case 0x3 -> "avx";
      case 0x7 -> "avx2";
      case 0xf -> "avx2_vnni";
      case 0x1f -> "avx2_vnni_2";
      case 0x27 -> "avx512_core";
      case 0x67 -> "avx512_core_vnni";
      case 0xe7 -> "avx512_core_bf16";
      case 0x1ef -> "avx10_1_512";
      case 0xfef -> "avx10_1_512_amx";
      case 0x1fef -> "avx10_1_512_amx_fp16";
      default -> "isa 0x" + Integer.toHexString(isa);
    };
  }

  private static String statusName(int status) {
    return switch (status) {
      case 1 -> "dnnl_out_of_memory";
      case 2 -> "dnnl_invalid_arguments";
      case 3 -> "dnnl_unimplemented";
      case 5 -> "dnnl_runtime_error";
      default -> "status " + status;
    };
  }

  private static MemorySegment address(SymbolLookup library, String function) {
    return library
        .find(function)
        .orElseThrow(() -> new QuenchException("the oneDNN library has no " + function));
  }

  /** invokeExact declares Throwable; a downcall itself throws none but what the JVM raises. */
  private static RuntimeException unexpected(String function, Throwable e) {
    return switch (e) {
      case RuntimeException runtime -> runtime;
      case Error error -> throw error;
      default -> new QuenchException(function + " failed: " + e, e);
    };
  }
}
