package dev.quench.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The compiled kernels in the jar, as the manifest that the build writes beside them lists them.
 *
 * @param compiler what compiled them; empty if there are none
 */
record KernelImages(String compiler, List<Image> images) {
  private static final String FOLDER = "kernels/";
  private static final String MANIFEST = FOLDER + "manifest.json";

  /**
   * A file of kernels.
   *
   * @param file its name in the jar
   * @param target the capability it was compiled for, such as 80
   * @param exact whether it runs on no other capability than that (sm_90a)
   */
  record Image(
      String file,
      int target,
      boolean exact,
      String ptxVersion,
      String sha256,
      List<KernelImages.Kernel> kernels) {
    boolean runsOn(int capability) {
      return exact ? capability == target : capability >= target;
    }

    boolean has(String kernel) {
      return kernels.stream().anyMatch(k -> k.name.equals(kernel));
    }

    /** The text, ended by a zero byte as the driver wants it. */
    byte[] ptx() {
      try (InputStream stream = KernelImages.class.getResourceAsStream(FOLDER + file)) {
        if (stream == null) {
          throw new CudaException("the jar lacks " + file + ", which its manifest lists");
        }
        byte[] text = stream.readAllBytes();
        return Arrays.copyOf(text, text.length + 1);
      } catch (IOException e) {
        throw new CudaException("can't read " + file + " from the jar", e);
      }
    }
  }

  /**
   * What the compiler said of a kernel.
   *
   * @param shared bytes of static shared memory
   */
  record Kernel(String name, int registers, int shared, int spills) {}

  /** Those of the jar; none if it was built without a CUDA compiler. */
  static KernelImages load() {
    try (InputStream stream = KernelImages.class.getResourceAsStream(MANIFEST)) {
      if (stream == null) {
        return new KernelImages("", List.of());
      }
      JsonNode manifest = JsonMapper.shared().readTree(stream);
      List<Image> images = new ArrayList<>();
      for (JsonNode image : manifest.path("images")) {
        images.add(image(image));
      }
      return new KernelImages(manifest.path("compiler").asString(), List.copyOf(images));
    } catch (IOException e) {
      throw new CudaException("can't read " + MANIFEST + " from the jar", e);
    }
  }

  private static Image image(JsonNode node) {
    List<Kernel> kernels = new ArrayList<>();
    for (JsonNode kernel : node.path("kernels")) {
      kernels.add(
          new Kernel(
              kernel.path("name").asString(),
              kernel.path("registers").asInt(),
              kernel.path("shared").asInt(),
              kernel.path("spills").asInt()));
    }
    String target = node.path("target").asString();
    return new Image(
        node.path("file").asString(),
        Integer.parseInt(target.replaceAll("\\D", "")),
        target.endsWith("a"),
        node.path("ptx").asString(),
        node.path("sha256").asString(),
        List.copyOf(kernels));
  }

  boolean isEmpty() {
    return images.isEmpty();
  }

  /** The best image for a device of that capability that has the kernel. */
  Optional<Image> of(String kernel, int capability) {
    return images.stream()
        .filter(image -> image.runsOn(capability) && image.has(kernel))
        .max(Comparator.comparingInt(Image::target));
  }
}
