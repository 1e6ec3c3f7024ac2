import { Linear, type Module, randomKey, RandomStream, tensor, zeros } from "../../engine/mod.ts";
import { BottleneckLinear } from "../layers/bottleneck_linear.ts";
import { matchLinears } from "../patterns/patterns.ts";

/** Options of {@linkcode attachBottlenecks}. */
export interface AttachBottlenecksOptions {
  /** Name patterns of the linear layers on whose results adapters are put; see {@linkcode matchesPattern}. */
  readonly targets: readonly string[];
  /** Width m of each adapter's middle. */
  readonly size: number;
  /** Seed of the draw; 0 by default. */
  readonly seed?: number;
}

/**
 * A copy of a model with a bottleneck adapter on the result of each matching linear layer, sharing every other tensor with it. `down` is
 * uniform in ±1/√d with bias 0, `up` is 0: at the start the model's outputs are what they were, bit for bit (He et al., arXiv
 * 2110.04366, start so; Houlsby et al. start near there, with both drawn at a deviation of 0.01).
 *
 * An adapter has 2·d·m + d + m parameters, d being the width of the result.
 *
 * @throws {PatternError} when a pattern matches no linear layer.
 * @example
 * ```ts no-run
 * const model = attachBottlenecks(pretrained, { targets: pretrained.encoder.residualTargets.feedForward, size: 32 });
 * ```
 */
export function attachBottlenecks<M extends Module>(model: M, options: AttachBottlenecksOptions): M {
  const { targets, size, seed = 0 } = options;
  const names = new Set(matchLinears(model, targets));
  return model.mapModules((name, module) => {
    if (!(module instanceof Linear) || !names.has(name)) return module;
    const { weight, bias } = module;
    const { gpu, shape: [width = 0] } = weight;
    const stream = new RandomStream(randomKey(seed, "bottleneck", name));
    const bound = 1 / Math.sqrt(width);
    const values = Float32Array.from({ length: size * width }, () => bound * (2 * stream.uniform(24) - 1));
    return new BottleneckLinear({
      weight,
      bias,
      down: new Linear(tensor(gpu, values, { shape: [size, width] }), zeros(gpu, [size])),
      up: new Linear(zeros(gpu, [width, size]), zeros(gpu, [width])),
    });
  });
}

/** Names of the parameters of a model's bottleneck adapters, in model order. */
export function bottleneckParameters(model: Module): Set<string> {
  return new Set(
    [...model.namedModules()].flatMap(([name, module]) => {
      if (!(module instanceof BottleneckLinear)) return [];
      const parts = [["down", module.down], ["up", module.up]] as const;
      return parts.flatMap(([part, layer]) =>
        [...layer.namedParameters(`${name}.${part}`)].map(([each]) => each)
      );
    }),
  );
}
