import { z } from "zod";
import { clone, mul, slice, tidy, zeros } from "../../../engine/mod.ts";
import { type Initialization, layerSettings, matchLinears, OffsetLinear } from "../../../federa/mod.ts";
import {
  type AdapterOptions,
  adapterOptions,
  adapterTargets,
  svdOption,
} from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import type { TaskModel } from "../../../tasks/mod.ts";
import { take } from "../../tensors.ts";
import { gradientStart } from "../parts/scouting/gradient_start.ts";
import { leadingTriplets } from "../parts/adapters/leading_triplets.ts";

/**
 * LoRA-GA's start (Wang et al., arXiv 2407.05000), federated: the first round gathers the mean gradient Ḡ of the pretrained weights. Of its
 * SVD U·S·Vᵀ, A starts as c·V_{1:r}ᵀ and B as c·U_{r+1:2r}, with the stable scale c = out^¼/√γ, and ΔW = s·(B·A − B₀·A₀) leaves the
 * outputs as they were. So the first steps change the weights as those of full fine-tuning would, as far as rank 2r can. Then A and B are
 * averaged separately.
 */
export const loraGa = defineMethod({
  name: "lora-ga",
  trains: "LoRA A and B from the first gradient, which a round gathers",
  server: "starts A and B from the SVD of the mean gradient, then averages them separately",
  rule:
    "first round: U·S·Vᵀ = Ḡ, A₀ = c·V_{1:r}ᵀ, B₀ = c·U_{r+1:2r}, c = o^¼/√γ, ΔW = s·(B·A − B₀·A₀); then A ← Σ p_k·A_k, B ← Σ p_k·B_k",
  up: "in the first round the mean gradient of W: o·i; later A, B: r·(o + i)",
  down: "in the first round nothing; A₀, B₀ once: r·(o + i); A, B: r·(o + i)",
  papers: ["2407.05000"],
  options: adapterOptions.extend({
    svd: svdOption,
    /** γ of the stable scale: smaller is a larger start. */
    gamma: z.number().gt(0).max(1e6).default(16),
  }),
  create(options) {
    const { svd, gamma } = options;
    const method = gradientStart(options, {
      name: "lora-ga",
      initialization: zeroOffset,
      trained: ["loraA", "loraB"],
      frozen: ["initialA", "initialB"],
      start(gradient, { rank, seed }) {
        const scale = gradient.shape[0]! ** 0.25 / Math.sqrt(gamma);
        return leadingTriplets(gradient, { svd, rank: 2 * rank, seed }, ({ u, vt }) => {
          const loraA = mul(slice(vt, { start: 0, end: rank }), scale);
          const loraB = mul(slice(u, { axis: 1, start: rank, end: 2 * rank }), scale);
          return { loraA, loraB, initialA: clone(loraA), initialB: clone(loraB) };
        });
      },
    });
    return {
      ...method,
      check(pretrained) {
        method.check(pretrained);
        checkTriplets(pretrained, options);
      },
    };
  },
});

/** @throws {RangeError} when a weight has fewer than 2r triplets. */
function checkTriplets(pretrained: TaskModel, options: AdapterOptions): void {
  const all = new Map(pretrained.namedParameters());
  for (const name of matchLinears(pretrained, adapterTargets(pretrained, options))) {
    const { shape } = take(all, `${name}.weight`);
    const { rank } = layerSettings(name, options);
    const limit = Math.floor(Math.min(...shape) / 2);
    if (rank > limit) {
      throw new RangeError(
        `Cannot start ${name} of shape [${
          shape.join(", ")
        }] from 2·${rank} triplets of its gradient: expected a rank from 1 to ${limit}`,
      );
    }
  }
}

/** Factors of zeros, until a gradient gives them. */
const zeroOffset: Initialization = (weights, { rank }) =>
  Promise.resolve(weights.map((weight) => {
    const { gpu, shape: [out, width] } = weight;
    const factors = () => ({ a: zeros(gpu, [rank, width!]), b: zeros(gpu, [out!, rank]) });
    const [{ a: loraA, b: loraB }, { a: initialA, b: initialB }] = tidy(() => [factors(), factors()]);
    const parts = { weight, loraA, loraB };
    return { ...parts, create: (rest) => new OffsetLinear({ ...parts, initialA, initialB, ...rest }) };
  }));
