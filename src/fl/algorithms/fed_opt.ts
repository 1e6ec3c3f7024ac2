import { z } from "zod";
import { add, div, full, less, mul, sqrt, square, sub, type Tensor } from "../../engine/mod.ts";
import type { Method } from "../method.ts";
import { defineAlgorithm } from "./define_algorithm.ts";
import { withServerOptimizer } from "./server_optimizer.ts";

const share = z.number().min(0).lt(1);
const positive = z.number().gt(0).max(1e6);

/** FedAvgM (Hsu et al., arXiv 1909.06335): v ← β·v + Δ, x ← x + η·v. */
export const fedAvgM = defineAlgorithm({
  name: "fedavgm",
  summary: "the server moves with momentum",
  papers: ["1909.06335"],
  options: z.strictObject({ learningRate: positive.default(1), momentum: share.default(0.9) }),
  over: (inner, { learningRate, momentum }) =>
    withServerOptimizer("fedavgm", inner, {
      moments: { v: 0 },
      step(change, { v }) {
        const next = add(mul(v, momentum), change);
        return { move: mul(next, learningRate), moments: { v: next } };
      },
    }),
});

const adaptive = z.strictObject({
  /** η of the server; it is to be tuned like any learning rate. */
  learningRate: positive.default(0.01),
  beta1: share.default(0.9),
  /** τ: what keeps the denominator from 0; v begins at τ². */
  tau: positive.default(1e-3),
});
const decaying = adaptive.extend({ beta2: share.default(0.99) });
type Adaptive = z.output<typeof adaptive>;

/**
 * The adaptive server optimisers of Reddi et al. (arXiv 2003.00295): m ← β₁·m + (1 − β₁)·Δ, x ← x + η·m/(√v + τ), without bias
 * correction, each with a v of its own.
 */
function adaptiveOptimizer(
  name: string,
  inner: Method,
  { learningRate, beta1, tau, second }: Adaptive & {
    second(v: Tensor, squared: Tensor): Tensor;
  },
): Method {
  return withServerOptimizer(name, inner, {
    moments: { m: 0, v: tau ** 2 },
    step(change, { m, v }) {
      const [mean, scale] = [add(mul(m, beta1), mul(change, 1 - beta1)), second(v, square(change))];
      return {
        move: div(mul(mean, learningRate), add(sqrt(scale), tau)),
        moments: { m: mean, v: scale },
      };
    },
  });
}

/** FedAdagrad: v ← v + Δ². */
export const fedAdagrad = defineAlgorithm({
  name: "fedadagrad",
  summary: "the server moves by Adagrad",
  papers: ["2003.00295"],
  options: adaptive,
  over: (inner, options) =>
    adaptiveOptimizer("fedadagrad", inner, { ...options, second: (v, d) => add(v, d) }),
});

/** FedAdam: v ← β₂·v + (1 − β₂)·Δ². */
export const fedAdam = defineAlgorithm({
  name: "fedadam",
  summary: "the server moves by Adam",
  papers: ["2003.00295"],
  options: decaying,
  over: (inner, { beta2, ...options }) =>
    adaptiveOptimizer("fedadam", inner, {
      ...options,
      second: (v, d) => add(mul(v, beta2), mul(d, 1 - beta2)),
    }),
});

/** FedYogi: v ← v − (1 − β₂)·Δ²·sign(v − Δ²). */
export const fedYogi = defineAlgorithm({
  name: "fedyogi",
  summary: "the server moves by Yogi",
  papers: ["2003.00295"],
  options: decaying,
  over: (inner, { beta2, ...options }) =>
    adaptiveOptimizer("fedyogi", inner, {
      ...options,
      second: (v, d) => sub(v, mul(mul(d, 1 - beta2), sign(sub(v, d)))),
    }),
});

/** −1, 0 or 1. */
function sign(x: Tensor): Tensor {
  const zero = full(x.gpu, [1], 0);
  return sub(less(zero, x), less(x, zero));
}
