package dev.quench.pipeline;

import dev.quench.recipe.NamedModule;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What the names of tensors give away of a model that there is no description of: the classes of
 * modules, which targets name, and their order.
 */
final class ModuleNames {
  private static final Pattern EMBEDDING =
      Pattern.compile("wte|wpe|shared|.*embed(?!_out).*|.*embeddings?");

  private static final Pattern ROUTER = Pattern.compile("(.*\\.)?(router(\\.[^.]*)?|gate)");
  private static final Pattern NUMBER = Pattern.compile("\\d{1,9}");

  /** Families whose linears keep their weights transposed, in a class of its own. */
  private static final Set<String> CONV1D_FAMILIES = Set.of("gpt2", "openai-gpt", "imagegpt");

  private static final Set<String> CONV1D = Set.of("c_attn", "c_proj", "c_fc", "q_attn");

  /** In the order of models; other names are ordered as text. */
  private static final List<String> MATRICES =
      List.of("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj");

  /** Orders modules as models do: layer by layer, attention first, heads last. */
  static final Comparator<String> ORDER = ModuleNames::compare;

  private ModuleNames() {}

  /**
   * The module that a matrix named {@code NAME.weight} belongs to.
   *
   * @param modelType {@code model_type} of config.json
   */
  static NamedModule module(String name, String modelType) {
    String last = name.substring(name.lastIndexOf('.') + 1);
    String type = NamedModule.LINEAR;
    if (last.endsWith("norm")) {
      type = "Norm";
    } else if (EMBEDDING.matcher(last).matches()) {
      type = NamedModule.EMBEDDING;
    } else if (ROUTER.matcher(name).matches()) {
      type = "Router";
    } else if (CONV1D_FAMILIES.contains(modelType) && CONV1D.contains(last)) {
      type = "Conv1D";
    }
    return new NamedModule(name, type);
  }

  private static int compare(String a, String b) {
    List<String> left = List.of(a.split("\\.", -1));
    List<String> right = List.of(b.split("\\.", -1));
    if ((left.size() == 1) != (right.size() == 1)) {
      return left.size() == 1 ? 1 : -1;
    }
    for (int i = 0; i < Math.min(left.size(), right.size()); i++) {
      int order = comparePart(left.get(i), right.get(i));
      if (order != 0) {
        return order;
      }
    }
    return Integer.compare(left.size(), right.size());
  }

  private static int comparePart(String a, String b) {
    if (NUMBER.matcher(a).matches() && NUMBER.matcher(b).matches()) {
      return Integer.compare(Integer.parseInt(a), Integer.parseInt(b));
    }
    if (MATRICES.contains(a) && MATRICES.contains(b)) {
      return Integer.compare(MATRICES.indexOf(a), MATRICES.indexOf(b));
    }
    boolean attention = isAttention(a);
    return attention == isAttention(b) ? a.compareTo(b) : attention ? -1 : 1;
  }

  private static boolean isAttention(String part) {
    return part.contains("attn") || part.contains("attention");
  }
}
