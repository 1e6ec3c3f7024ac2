import { concat, matmul, slice, type Tensor, tidy } from "../../../../engine/mod.ts";
import { Held } from "../../../held.ts";
import type { Local, LocalRule, Method } from "../../../method.ts";
import { take, type Tensors } from "../../../tensors.ts";
import type { Averaged } from "./averaging.ts";
import { layersOf } from "../adapters/layer_names.ts";
import { nearestRotation, partRotation } from "./nearest_rotation.ts";

/** Options of {@linkcode rotating}. */
export interface RotatingOptions {
  /** λ, from 0 for no rotation to 1 for the whole one. */
  readonly lambda: number;
  /** Whether B begins at zero, so that there is nothing to turn it to in the first round. */
  readonly startsAtZero: boolean;
}

/**
 * Averaging of factors that each client first turns to those of the round's start, by a rotation R of its own for each layer: it sends
 * B_k·R and Rᵀ·A_k, whose product is the one it has trained. With t counted from 0, R minimises ‖Rᵀ·A_k − A‖_F in odd rounds t and
 * ‖B_k·R − B‖_F in even ones; of it the part λ is taken, (1 − λ)·1 + λ·R made a rotation again.
 */
export function rotating(
  inner: Method<Averaged>,
  { lambda, startsAtZero }: RotatingOptions,
): Method<Averaged> {
  return {
    ...inner,
    coordinates: "turned",
    plan(state, round) {
      const plan = inner.plan(state, round);
      if (lambda === 0 || (startsAtZero && round === 1)) return plan;
      return { ...plan, local: rotation(round % 2 === 0 ? "loraA" : "loraB", lambda) };
    },
  };
}

/** Turns factors to those of the start, by one of the two. */
function rotation(by: "loraA" | "loraB", lambda: number): LocalRule {
  return {
    prepare: async (values, local) => {
      using held = new Held();
      const rotations = new Map<string, Tensor>();
      for (const layers of layersByRank(values)) {
        const overlaps = held.hold(
          tidy(() => concat(layers.map((layer) => overlapOf(layer, by, values, local)))),
        );
        const whole = held.hold(await nearestRotation(overlaps));
        const part = lambda === 1 ? whole : held.hold(await partRotation(whole, lambda));
        const members = local.clients.length;
        layers.forEach((layer, i) => {
          const own = slice(part, { start: i * members, end: (i + 1) * members, copy: true });
          rotations.set(layer, held.hold(own));
        });
      }
      return held.release(rotations);
    },
    finish(values, { prepared }) {
      const turned = [...prepared].flatMap(([layer, r]): [string, Tensor][] => [
        [`${layer}.loraA`, matmul(r, take(values, `${layer}.loraA`), { transposeA: true })],
        [`${layer}.loraB`, matmul(take(values, `${layer}.loraB`), r)],
      ]);
      return { upload: new Map([...values, ...turned]) };
    },
  };
}

/** A_k·Aᵀ or B_kᵀ·B, whose nearest rotation it is, [C, r, r]. */
function overlapOf(layer: string, by: "loraA" | "loraB", values: Tensors, { start }: Local): Tensor {
  const name = `${layer}.${by}`;
  const [own, common] = [take(values, name), take(start, name)];
  return by === "loraA"
    ? matmul(own, common, { transposeB: true })
    : matmul(own, common, { transposeA: true });
}

/** The adapted layers by their ranks: matrices of one size are decomposed together. */
function layersByRank(values: Tensors): Iterable<string[]> {
  const found = new Map<number, string[]>();
  for (const layer of layersOf(values)) {
    const rank = take(values, `${layer}.loraA`).shape.at(-2)!;
    found.set(rank, [...found.get(rank) ?? [], layer]);
  }
  return found.values();
}
