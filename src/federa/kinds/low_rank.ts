import { z } from "zod";
import { formatShape, Linear, type Module, sameShape, type Shape } from "../../engine/mod.ts";
import { fingerprint } from "../files/digest.ts";
import { isResidual, originalOf } from "../files/pretrained.ts";
import { LowRankLinear } from "../layers/factored/low_rank_linear.ts";
import { residualOf } from "../starts/residual.ts";
import { defineKind } from "./adapter_kind.ts";

/**
 * LoRA on a linear layer: A and B, and where the weight was taken apart A₀ and B₀ (`initialA`, `initialB`), from which the frozen residual
 * follows. A residual that doesn't, as after exact aggregation, is stored whole.
 */
export const lowRankKind = defineKind({
  name: "low-rank",
  type: LowRankLinear,
  settings: z.strictObject({ scaling: z.number().positive() }),
  settingsOf: ({ sharedScaling: scaling }) => ({ scaling }),
  extras: ({ initial }) => new Map(initial ? [["initialA", initial.loraA], ["initialB", initial.loraB]] : []),
  derived: async (layer, pretrained) =>
    await isResidual(layer, (pretrained as Linear).weight) ? ["weight"] : [],
  check({ name, shapes }) {
    const [trained, initial] = [pairOf(shapes, "lora"), pairOf(shapes, "initial")];
    const broken = problemOf(name, trained) ?? problemOf(name, initial);
    if (broken !== undefined) return broken;
    if (trained.a === undefined) return `it lacks ${name}.loraA and ${name}.loraB`;
    return initial.a !== undefined && !(sameShape(initial.a, trained.a) && sameShape(initial.b!, trained.b!))
      ? `the initial factors of ${name} must be shaped as the trained ones`
      : undefined;
  },
  fit(pretrained, { name, shapes }) {
    if (!(pretrained instanceof Linear)) return `it has no linear layer ${name}`;
    const shape = [shapes.get("loraB")!.at(-2)!, shapes.get("loraA")!.at(-1)!];
    const found = pretrained.weight.shape;
    return sameShape(shape, found)
      ? undefined
      : `the weight of ${name} must be ${formatShape(shape)}, got ${formatShape(found)}`;
  },
  async create(pretrained, { settings: { scaling }, tensors }) {
    const { weight, bias } = pretrained as Linear;
    const [loraA, loraB] = [tensors.get("loraA")!, tensors.get("loraB")!];
    const [initialA, initialB] = [tensors.get("initialA"), tensors.get("initialB")];
    const initial = initialA && initialB && { loraA: initialA, loraB: initialB };
    const frozen = tensors.get("weight") ??
      (initial ? await residualOf(weight, { ...initial, scaling }) : weight);
    return new LowRankLinear({ weight: frozen, bias, loraA, loraB, scaling, initial });
  },
  fingerprint: async (pretrained: Module) =>
    await fingerprint(await originalOf((pretrained as Linear).weight)),
});

interface Pair {
  readonly a: Shape | undefined;
  readonly b: Shape | undefined;
}

function pairOf(shapes: ReadonlyMap<string, Shape>, prefix: string): Pair {
  return { a: shapes.get(`${prefix}A`), b: shapes.get(`${prefix}B`) };
}

function problemOf(name: string, { a, b }: Pair): string | undefined {
  if (a === undefined && b === undefined) return undefined;
  if (a === undefined || b === undefined) return `it holds only one of the two factors of ${name}`;
  return a.length === 2 && b.length === 2 && b[1] === a[0] && a[0] !== 0
    ? undefined
    : `the factors of ${name} must be [r, in] and [out, r], got ${formatShape(a)} and ${formatShape(b)}`;
}
