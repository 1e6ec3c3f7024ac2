import { z } from "zod";
import { add, clone, keep, sub, type Tensor, tidy } from "../../../engine/mod.ts";
import { Held } from "../../held.ts";
import { take, type Tensors } from "../../tensors.ts";
import { defineRule } from "../define_rule.ts";
import { type Gathered, gathering } from "../gathering.ts";
import { memberNorms } from "../member_norms.ts";
import { mapTensors, medianOf, weightedRows } from "./_rows.ts";

/**
 * The geometric median (RFA, Pillutla et al., arXiv 1912.13445): the point z of the least Σ α_k·‖Δ_k − z‖₂ to the clients' changes, over
 * all values together, by Weiszfeld's iteration z ← Σ w_k·Δ_k / Σ w_k with w_k = α_k / max(ν, ‖Δ_k − z‖). It begins at the coordinate-wise
 * median. ν is relative to the median distance there of those that aren't at it, so that scaling all changes scales the result.
 */
export const geometricMedian = defineRule({
  name: "geometric-median",
  summary: "the point of the least sum of distances to the uploads",
  papers: ["1912.13445"],
  options: z.strictObject({
    /** Whether clients weigh by their examples, as in the paper; otherwise all count the same. */
    weighted: z.boolean().default(false),
    /** The most iterations. */
    iterations: z.int().min(1).max(1e4).default(100),
    /** It ends once the weights w_k / Σ w_j move by no more than this in all. */
    tolerance: z.number().gte(0).lt(1).default(1e-6),
    /** ν, in median distances of uploads from where it begins. */
    smoothing: z.number().gt(0).lt(1).default(1e-6),
  }),
  create: (options) =>
    gathering({
      name: "geometric-median",
      least: () => ({ count: 3, purpose: "to outvote one" }),
      combine: (gathered) => weiszfeld(gathered, options),
    }),
});

interface WeiszfeldOptions {
  readonly weighted: boolean;
  readonly iterations: number;
  readonly tolerance: number;
  readonly smoothing: number;
}

async function weiszfeld(
  { values, clients, shares, start }: Gathered,
  { weighted, iterations, tolerance, smoothing }: WeiszfeldOptions,
): Promise<Map<string, Tensor>> {
  using held = new Held();
  // Of changes, as these are small beside the values: sums of them are rounded less.
  const changes = held.hold(mapTensors(values, (y, name) => sub(y, take(start, name))));
  const alpha = weighted ? shares : clients.map(() => 1 / clients.length);
  let at: Tensors = mapTensors(changes, medianOf);
  let weights = clients.map(() => 0);
  let nu = 0;
  for (let i = 0; i < iterations; i++) {
    const distances = await distancesTo(at, changes);
    // Half of the weight or more at one point outweighs all others, however far these are.
    if (distances.reduce((weight, distance, k) => weight + (distance > 0 ? 0 : alpha[k]!), 0) >= 0.5) break;
    if (i === 0) nu = smoothing * middle(distances.filter((distance) => distance > 0));
    const pulls = distances.map((distance, k) => alpha[k]! / Math.max(nu, distance));
    const all = pulls.reduce((total, pull) => total + pull, 0);
    const next = pulls.map((pull) => pull / all);
    const moved = next.reduce((total, weight, k) => total + Math.abs(weight - weights[k]!), 0);
    if (moved <= tolerance) break;
    weights = next;
    const better = mapTensors(changes, (each) => weightedRows(each, next));
    for (const each of at.values()) each.dispose();
    at = better;
  }
  held.hold(at);
  return new Map(
    [...at].map(([name, change]) => [name, keep(tidy(() => clone(add(change, take(start, name)))))]),
  );
}

/** ‖Δ_k − z‖₂ of each upload, over all names. */
async function distancesTo(at: Tensors, changes: Tensors): Promise<number[]> {
  if (changes.size === 0) return [];
  using norms = keep(
    tidy(() => memberNorms(new Map([...changes].map(([name, each]) => [name, sub(each, take(at, name))])))),
  );
  return [...await norms.floats()];
}

function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)]!;
}
