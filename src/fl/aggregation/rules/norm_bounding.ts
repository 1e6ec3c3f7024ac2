import { z } from "zod";
import { add, keep, mul, sub, tensor, tidy } from "../../../engine/mod.ts";
import { perMember, take } from "../../tensors.ts";
import { defineRule } from "../define_rule.ts";
import { type Gathered, gathering } from "../gathering.ts";
import { memberNorms } from "../member_norms.ts";
import { mapTensors, weightedRows } from "./_rows.ts";

/**
 * Norm bounding (Sun et al., arXiv 1911.07963): the server scales each change down to a norm M before it averages by examples,
 * x + Σ p_k·Δ_k·min(1, M / ‖Δ_k‖₂), the norm over all values together. It bounds what an attacker does in a round, and no more:
 * a share of hostile clients still pulls the mean by that share.
 */
export const normBounding = defineRule({
  name: "norm-bounding",
  summary: "the mean of changes scaled down to a norm",
  papers: ["1911.07963"],
  options: z.strictObject({
    /** M, or "median": the median of the round's norms, which follows the scale of the changes. */
    norm: z.union([z.number().gt(0).max(1e9), z.literal("median")]).default("median"),
  }),
  create: ({ norm }) =>
    gathering({
      name: "norm-bounding",
      least: () =>
        norm === "median"
          ? { count: 3, purpose: "for a median norm", otherwise: "set norm to a number" }
          : { count: 1, purpose: "for a mean" },
      combine: async ({ values, shares, start }: Gathered) => {
        const norms = await normsOf({ values, start });
        const limit = norm === "median" ? medianOfNumbers(norms) : norm;
        const factors = norms.map((each) => each > limit ? limit / each : 1);
        return mapTensors(values, (y, name) => {
          const x = take(start, name);
          // What isn't scaled keeps its bits.
          if (factors.every((factor) => factor === 1)) return weightedRows(y, shares);
          const scaled = mul(sub(y, x), perMember(tensor(y.gpu, factors), y));
          return add(weightedRows(scaled, shares), x);
        });
      },
    }),
});

async function normsOf({ values, start }: Pick<Gathered, "values" | "start">): Promise<number[]> {
  if (values.size === 0) return [];
  using norms = keep(
    tidy(() => memberNorms(new Map([...values].map(([name, y]) => [name, sub(y, take(start, name))])))),
  );
  return [...await norms.floats()];
}

function medianOfNumbers(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2)];
  return ((sorted[low] ?? 0) + (sorted[high] ?? 0)) / 2;
}
