import { z } from "zod";
import { less, mul, sub, type Tensor, tidy, zeros } from "../../../engine/mod.ts";
import { type Initialization, leadingBases, LoraXsLinear } from "../../../federa/mod.ts";
import { adapterOptions, svdOption } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { gradientStart } from "../parts/scouting/gradient_start.ts";
import { leadingTriplets } from "../parts/adapters/leading_triplets.ts";

/**
 * Fed-SB (Singhal et al., arXiv 2502.15436): LoRA-SB's update (arXiv 2411.19557) ΔW = s·B·R·A between frozen bases, of which R [r, r] is
 * trained and averaged, exactly. The first round gathers the mean gradient Ḡ of the pretrained weights. The SVD U·S·Vᵀ of its signs,
 * the first step of Adam, gives B = U_r and A = V_rᵀ, and R starts with that step: −η·diag(S_r)/s.
 */
export const fedSb = defineMethod({
  name: "fed-sb",
  trains: "R [r, r] between frozen bases from the first gradient, which a round gathers",
  server: "takes the bases from the SVD of the mean gradient, then averages R, which is exact",
  rule: "first round: U·S·Vᵀ = sign(Ḡ), B = U_r and A = V_rᵀ frozen, R₀ = −η·diag(S_r)/s; then R ← Σ p_k·R_k",
  up: "in the first round the mean gradient of W: o·i; later R: r²",
  down: "in the first round nothing; A, B once: r·(o + i); R: r²",
  papers: ["2502.15436"],
  options: adapterOptions.extend({
    svd: svdOption,
    /** Whose SVD gives the bases: that of the gradient's signs, or of the gradient itself. */
    basis: z.enum(["sign", "gradient"]).default("sign"),
    /** η, the length of the first step that R starts with; 0 starts at the pretrained outputs. */
    firstStep: z.number().min(0).max(1).default(1e-4),
  }),
  create(options) {
    const { svd, basis, firstStep } = options;
    return gradientStart(options, {
      name: "fed-sb",
      initialization: zeroBases,
      trained: ["loraR"],
      frozen: ["loraA", "loraB"],
      async start(gradient, { rank, scaling, seed }) {
        using step = tidy(() => basis === "sign" ? signOf(gradient) : gradient.detach());
        return await leadingTriplets(step, { svd, rank, seed }, (found) => {
          const { loraA, loraB, loraR } = leadingBases(found, { rank, scaling });
          return { loraA, loraB, loraR: mul(loraR, -firstStep) };
        });
      },
    });
  },
});

/** Bases and R of zeros, until a gradient gives them. */
const zeroBases: Initialization = (weights, { rank }) =>
  Promise.resolve(weights.map((weight) => {
    const { gpu, shape } = weight;
    const loraA = zeros(gpu, [rank, shape[1]!]);
    const loraB = zeros(gpu, [shape[0]!, rank]);
    const loraR = zeros(gpu, [rank, rank]);
    return {
      weight,
      loraA,
      loraB,
      create: (rest) => new LoraXsLinear({ weight, loraA, loraB, loraR, ...rest }),
    };
  }));

/** −1, 0 or 1 by element. */
function signOf(x: Tensor): Tensor {
  const zero = zeros(x.gpu, []);
  return sub(less(zero, x), less(x, zero));
}
