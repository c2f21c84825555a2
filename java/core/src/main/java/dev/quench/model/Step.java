package dev.quench.model;

import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import java.util.List;

/**
 * A part of a decoder layer whose linears all read the same tensor. A layer is a list of steps; a
 * forward pass is {@link #input} and {@link #apply} of each in turn. In between, the input can be
 * observed and the step's weights replaced.
 */
public interface Step {
  /** Name for people: {@code qkv}, {@code o}, {@code gate_up}, {@code down}. */
  String name();

  /** The linears that read {@link #input}. */
  List<LinearSpec> linears();

  /** What the step's linears read: F32 [tokens, in]. Doesn't change the batch. */
  Tensor input(TokenBatch batch, LayerWeights weights, Scope scope);

  /** Runs the step's linears on that input and what follows up to the next step's input. */
  void apply(TokenBatch batch, Tensor input, LayerWeights weights, Scope scope);
}
