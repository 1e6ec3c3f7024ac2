import { z } from "zod";
import { add, matmul, mul, reshape, sum, type Tensor, tensor, tidy } from "../../../engine/mod.ts";
import { jacobiSvd, type LowRankProduct, productNorm } from "../../../engine/linalg/mod.ts";
import { lora } from "../../../federa/mod.ts";
import { Held } from "../../held.ts";
import { take } from "../../tensors.ts";
import { adapterOptions } from "../parts/adapters/adapter_options.ts";
import { clientProducts } from "../parts/products/client_products.ts";
import { defineMethod } from "../define_method.ts";
import { fairCorrection } from "../parts/products/fair_correction.ts";
import { layersOf } from "../parts/adapters/layer_names.ts";
import { makeParts, nameParts } from "../parts/adapters/layer_parts.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";
import { mixedRanks } from "../parts/adapters/mixed_ranks.ts";

/**
 * LoRA-FAIR (arXiv 2411.14961): FedIT, and the server turns the mean of B so that the product comes nearer to the exact mean: it sends Ā and
 * B̄ + ΔB, where ΔB minimises 1 − cos(Σ p_k·B_k·A_k, (B̄ + ΔB)·Ā) + λ·‖ΔB‖_F. The paper takes steps of SGD; here the minimum itself is found.
 * The server sees each client's factors; r·(out + in) goes up and down.
 */
export const loraFair = defineMethod({
  name: "lora-fair",
  trains: "LoRA A and B",
  server: "averages A and B, and corrects B towards the exact mean of the products",
  rule: "A ← Ā; B ← B̄ + argmin_ΔB 1 − cos(Σ p_k·B_k·A_k, (B̄ + ΔB)·Ā) + λ·‖ΔB‖",
  up: "A, B: r·(o + i)",
  down: "A, B: r·(o + i)",
  papers: ["2411.14961"],
  options: adapterOptions.extend({
    /** λ, the weight of ‖ΔB‖: 0 for the whole correction. */
    lambda: z.number().min(0).max(1e6).default(0.01),
  }),
  create(options) {
    const inner = lowRankAveraging(options, { name: "lora-fair", initialization: lora });
    return {
      ...inner,
      sees: "each",
      async apply(state, { values, each }) {
        const corrected = await makeParts(layersOf(state.global), async (layer) => {
          using held = new Held();
          const exact = held.hold(tidy(() => clientProducts(layer, each!, mixedRanks(options, layer))));
          const mean = { b: take(values, `${layer}.loraB`), a: take(values, `${layer}.loraA`) };
          return { loraB: await correctedB(mean, exact, options.lambda) };
        });
        return { global: new Map([...state.global, ...values, ...nameParts(corrected)]) };
      },
    };
  },
});

/** B̄ + ΔB of one layer. */
async function correctedB(mean: LowRankProduct, exact: LowRankProduct, lambda: number): Promise<Tensor> {
  using held = new Held();
  const { u, s, vt } = held.hold(await jacobiSvd(mean.a));
  const [g, b, ...figures] = held.hold(tidy(() => {
    const g = mul(matmul(exact.b, matmul(exact.a, vt, { transposeB: true })), s);
    const b = matmul(mean.b, u);
    const inner = (x: Tensor, y: Tensor) => sum(mul(x, y), { axes: [0] });
    return [g, b, inner(g, g), inner(g, b), inner(b, b), s, reshape(productNorm(exact), [1])] as const;
  }));
  const [gg, gb, bb, singular, [norm]] = await Promise.all(figures.map((each) => each.floats())) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const { p, q } = fairCorrection({ gg, gb, bb, s: singular, norm: norm! }, lambda);
  return tidy(() => {
    const row = (values: Float64Array) => tensor(g.gpu, Float32Array.from(values));
    return add(mean.b, matmul(add(mul(g, row(p)), mul(b, row(q))), u, { transposeB: true }));
  });
}
