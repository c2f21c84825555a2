package dev.quench.cli;

import dev.quench.InvalidInputException;
import dev.quench.cuda.CudaDevice;
import dev.quench.cuda.CudaException;
import dev.quench.cuda.CudaProbe;
import dev.quench.cuda.CudaProbe.Unusable;
import dev.quench.cuda.CudaProbe.Usable;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.device.ReferenceDevice;
import dev.quench.progress.ProgressEvent;
import dev.quench.progress.ProgressListener;
import java.util.Locale;
import java.util.OptionalLong;

/**
 * Where a run computes. A device that was asked for and can't be had is an error; a choice that is
 * left to Quench is told with its reason.
 *
 * @param threads of the CPU device
 * @param gpuMemory most bytes of a GPU's memory to take
 */
record DeviceChoice(Kind kind, int threads, OptionalLong gpuMemory) {
  /** What {@code --device} takes. */
  enum Kind {
    AUTO,
    CPU,
    CUDA,
    REFERENCE
  }

  Device open(ProgressListener listener) {
    if (gpuMemory.isPresent() && (kind == Kind.CPU || kind == Kind.REFERENCE)) {
      throw new InvalidInputException(
          "--gpu-memory is for a GPU, but --device is " + name() + "; leave one of them out.");
    }
    return switch (kind) {
      case AUTO -> automatic(listener);
      case CPU -> new CpuDevice(threads);
      case REFERENCE -> new ReferenceDevice();
      case CUDA ->
          switch (CudaProbe.first()) {
            case Usable usable -> forced(usable);
            case Unusable(String reason) ->
                throw new InvalidInputException(
                    "--device cuda: " + reason + ". --device cpu needs no GPU.");
          };
    };
  }

  private String name() {
    return kind.name().toLowerCase(Locale.ROOT);
  }

  private Device automatic(ProgressListener listener) {
    return switch (CudaProbe.first()) {
      case Usable usable when usable.device().isStandIn() ->
          cpu("the only GPU is Quench's stand-in, which is for tests", listener);
      case Usable usable -> {
        try {
          Device cuda = cuda(usable);
          listener.on(new ProgressEvent.Note("Computing on " + cuda.description() + "."));
          yield cuda;
        } catch (CudaException e) {
          yield cpu(e.reason(), listener);
        }
      }
      case Unusable(String reason) -> cpu(reason, listener);
    };
  }

  private Device cpu(String reason, ProgressListener listener) {
    listener.on(new ProgressEvent.Note("Computing on the CPU: " + reason + "."));
    return new CpuDevice(threads);
  }

  private Device forced(Usable usable) {
    try {
      return cuda(usable);
    } catch (CudaException e) {
      throw new InvalidInputException("--device cuda: " + e.getMessage(), e);
    }
  }

  private Device cuda(Usable usable) {
    long limit = gpuMemory.orElse(Long.MAX_VALUE);
    if (gpuMemory.isPresent() && limit > usable.device().memory()) {
      throw new InvalidInputException(
          "--gpu-memory: %s has %s."
              .formatted(usable.device().name(), ByteSize.format(usable.device().memory())));
    }
    return CudaDevice.open(limit);
  }
}
