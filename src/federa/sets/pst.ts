import { Linear, type Module, zeros } from "../../engine/mod.ts";
import { PstLinear } from "../layers/pst_linear.ts";
import { matchLinears } from "../patterns/patterns.ts";
import { drawLora } from "../starts/lora.ts";

/** Options of {@linkcode attachPst}. */
export interface AttachPstOptions {
  /** Name patterns of the linear layers that are pruned; see {@linkcode matchesPattern}. */
  readonly targets: readonly string[];
  /** r of the change and of the importance, from 1 to the smaller side of each weight. */
  readonly rank: number;
  /** β: what the change counts for. */
  readonly scaling: number;
  /** Share of each weight's entries that are pruned, from 0 to below 1. */
  readonly sparsity: number;
  /** Seed of the draw; 0 by default. */
  readonly seed?: number;
}

/**
 * A copy of a model whose matching linear layers are pruned while they are tuned (PST, arXiv 2205.11005), sharing every other tensor with
 * it. Factors start as LoRA's do, and scores of rows and columns at 0, so the first mask keeps the weights of largest magnitude.
 *
 * A layer has 2·r·(out + in) + out + in parameters.
 *
 * @throws {RangeError} when the rank doesn't fit a layer.
 * @throws {PatternError} when a pattern matches no linear layer.
 * @example
 * ```ts no-run
 * const model = attachPst(pretrained, { targets: ["**.attention.*"], rank: 8, scaling: 1, sparsity: 0.5 });
 * ```
 */
export function attachPst<M extends Module>(model: M, options: AttachPstOptions): M {
  const { targets, rank, scaling, sparsity, seed = 0 } = options;
  const names = new Set(matchLinears(model, targets));
  checkPst(model, options);
  return model.mapModules((name, module) => {
    if (!(module instanceof Linear) || !names.has(name)) return module;
    const { weight, bias } = module;
    const { gpu } = weight;
    const [out, width] = weight.shape as [number, number];
    const [change, score] = ["change", "score"].map((part) =>
      drawLora(weight, { rank, seed, name: `${name} ${part}` })
    );
    return new PstLinear({
      weight,
      bias,
      changeA: change!.loraA,
      changeB: change!.loraB,
      scoreA: score!.loraA,
      scoreB: score!.loraB,
      rowScore: zeros(gpu, [out]),
      columnScore: zeros(gpu, [width]),
      scaling,
      kept: Math.max(1, Math.round((1 - sparsity) * out * width)),
    });
  });
}

/**
 * Checks by shapes alone that layers can be pruned so.
 *
 * @throws as {@linkcode attachPst}.
 */
export function checkPst(model: Module, { targets, rank }: Pick<AttachPstOptions, "targets" | "rank">): void {
  const names = new Set(matchLinears(model, targets));
  for (const [name, module] of model.namedModules()) {
    if (!(module instanceof Linear) || !names.has(name)) continue;
    const limit = Math.min(...module.weight.shape);
    if (rank > limit) {
      throw new RangeError(
        `Cannot prune ${name} of shape [${
          module.weight.shape.join(", ")
        }] by factors of rank ${rank}: expected an integer from 1 to ${limit}`,
      );
    }
  }
}

/** Names of the parameters of a model's layers that are pruned while they are tuned, in model order. */
export function pstParameters(model: Module): Set<string> {
  return new Set(
    [...model.namedModules()].flatMap(([name, module]) =>
      module instanceof PstLinear
        ? ["changeA", "changeB", "scoreA", "scoreB", "rowScore", "columnScore"].map((part) =>
          `${name}.${part}`
        )
        : []
    ),
  );
}
