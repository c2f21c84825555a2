package dev.quench.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
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
      List<Cubin> cubins,
      List<KernelImages.Kernel> kernels) {
    boolean runsOn(int capability) {
      return exact ? capability == target : capability >= target;
    }

    boolean has(String kernel) {
      return kernels.stream().anyMatch(k -> k.name.equals(kernel));
    }

    /** The text, ended by a zero byte as the driver wants it. */
    byte[] ptx() {
      byte[] text = read(file);
      return Arrays.copyOf(text, text.length + 1);
    }

    /** What was assembled for just that capability. */
    Optional<Cubin> cubin(int capability) {
      String architecture = "sm_" + capability + (exact ? "a" : "");
      return cubins.stream().filter(cubin -> cubin.architecture.equals(architecture)).findFirst();
    }
  }

  /** Machine code of an image's kernels for one architecture, such as {@code sm_90}. */
  record Cubin(String file, String architecture) {
    byte[] content() {
      return read(file);
    }
  }

  private static byte[] read(String file) {
    try (InputStream stream = KernelImages.class.getResourceAsStream(FOLDER + file)) {
      if (stream == null) {
        throw new CudaException("the jar lacks " + file + ", which its manifest lists");
      }
      return stream.readAllBytes();
    } catch (IOException e) {
      throw new CudaException("can't read " + file + " from the jar", e);
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
    List<Cubin> cubins = new ArrayList<>();
    for (JsonNode cubin : node.path("cubins")) {
      cubins.add(new Cubin(cubin.path("file").asString(), cubin.path("architecture").asString()));
    }
    String target = node.path("target").asString();
    return new Image(
        node.path("file").asString(),
        Integer.parseInt(target.replaceAll("\\D", "")),
        target.endsWith("a"),
        node.path("ptx").asString(),
        List.copyOf(cubins),
        List.copyOf(kernels));
  }

  boolean isEmpty() {
    return images.isEmpty();
  }

  /**
   * The CUDA version of the compiler, such as 13000 for 13.0: a driver for an older one may not
   * know the format of its cubins.
   */
  int compilerVersion() {
    Matcher version = Pattern.compile("(\\d+)\\.(\\d+)").matcher(compiler);
    return version.find()
        ? 1000 * Integer.parseInt(version.group(1)) + 10 * Integer.parseInt(version.group(2))
        : Integer.MAX_VALUE;
  }

  /** The best image for a device of that capability that has the kernel. */
  Optional<Image> of(String kernel, int capability) {
    return images.stream()
        .filter(image -> image.runsOn(capability) && image.has(kernel))
        .max(Comparator.comparingInt(Image::target));
  }
}
