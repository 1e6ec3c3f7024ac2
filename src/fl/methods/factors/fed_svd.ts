import { lowRankSvd } from "../../../engine/linalg/mod.ts";
import { tidy } from "../../../engine/mod.ts";
import { leadingFactors, lora } from "../../../federa/mod.ts";
import { Held } from "../../held.ts";
import { pick, take } from "../../tensors.ts";
import { adapterOptions } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { layersOf } from "../parts/adapters/layer_names.ts";
import { makeParts, nameParts } from "../parts/adapters/layer_parts.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";

/**
 * FedSVD (arXiv 2505.12805): B is trained and averaged beside a common A, which is exact; then the server takes the SVD of their product,
 * B̄·A = U·S·Vᵀ, and all go on from B = U·S and A = Vᵀ, whose rows are orthonormal. r·out goes up, r·(out + in) down. The server needs
 * the sum alone.
 */
export const fedSvd = defineMethod({
  name: "fedsvd",
  trains: "LoRA B",
  server: "averages B, which is exact, and takes A and B anew from the SVD of their product",
  rule: "U·S·Vᵀ = (Σ p_k·B_k)·A; B ← U·S, A ← Vᵀ",
  up: "B: r·o",
  down: "A, B: r·(o + i)",
  papers: ["2505.12805"],
  options: adapterOptions,
  create(options) {
    const inner = lowRankAveraging(options, { name: "fedsvd", initialization: lora });
    return {
      ...inner,
      coordinates: "renewed",
      plan({ global }, round) {
        const trained = [...global.keys()].filter((name) => !name.endsWith(".loraA"));
        // In the first round A is as all have drawn it.
        return { trained, download: () => pick(global, round === 1 ? trained : global.keys()) };
      },
      async apply({ global }, { values }) {
        const factors = await makeParts(layersOf(global), async (layer) => {
          using held = new Held();
          const product = { b: take(values, `${layer}.loraB`), a: take(global, `${layer}.loraA`) };
          const rank = product.a.shape[0]!;
          const svd = held.hold(await lowRankSvd(product, { rank }));
          // s multiplies both products alike.
          return { ...tidy(() => leadingFactors(svd, { rank, scaling: 1, split: "left" })) };
        });
        return { global: new Map([...global, ...values, ...nameParts(factors)]) };
      },
    };
  },
});
