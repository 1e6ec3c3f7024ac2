import { randomKey, RandomStream, tensor, zeros } from "../engine/mod.ts";
import type { Initialization } from "./initialization.ts";

/**
 * LoRA's own start (Hu et al., arXiv 2106.09685, section 4.1): A uniform in ±1/√in (Kaiming's rule with a = √5), B zero,
 * the pretrained weight as it is.
 */
export const lora: Initialization = (weights, { rank, seed, names }) =>
  Promise.resolve(weights.map((weight, i) => {
    const [out, width] = weight.shape as [number, number];
    const stream = new RandomStream(randomKey(seed, "lora", names[i]!));
    const bound = 1 / Math.sqrt(width);
    const values = Float32Array.from({ length: rank * width }, () => bound * (2 * stream.uniform(24) - 1));
    return {
      weight,
      loraA: tensor(weight.gpu, values, { shape: [rank, width] }),
      loraB: zeros(weight.gpu, [out, rank]),
    };
  }));
