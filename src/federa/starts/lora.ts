import { randomKey, RandomStream, type Tensor, tensor, zeros } from "../../engine/mod.ts";
import type { Initialization } from "./initialization.ts";
import type { LowRankFactors } from "../layers/factored/low_rank_linear.ts";

/** Options of {@linkcode drawLora}. */
export interface DrawLoraOptions {
  readonly rank: number;
  readonly seed: number;
  /** Names the draw: a layer, so that each draws its own numbers. */
  readonly name: string;
}

/** LoRA's starting factors of a weight [out, in]: A uniform in ±1/√in, B zero. */
export function drawLora(weight: Tensor, options: DrawLoraOptions): LowRankFactors {
  const bound = 1 / Math.sqrt(weight.shape[1]!);
  return drawFactors(weight, { ...options, draw: (stream) => bound * (2 * stream.uniform(24) - 1) });
}

function drawFactors(
  { gpu, shape }: Tensor,
  { rank, seed, name, draw }: DrawLoraOptions & { draw(stream: RandomStream): number },
): LowRankFactors {
  const [out, width] = shape as [number, number];
  const stream = new RandomStream(randomKey(seed, "lora", name));
  const values = Float32Array.from({ length: rank * width }, () => draw(stream));
  return { loraA: tensor(gpu, values, { shape: [rank, width] }), loraB: zeros(gpu, [out, rank]) };
}

/**
 * LoRA's own start (Hu et al., arXiv 2106.09685, section 4.1): A uniform in ±1/√in (Kaiming's rule with a = √5), B zero,
 * the pretrained weight as it is.
 */
export const lora: Initialization = (weights, { rank, seed, names }) =>
  Promise.resolve(
    weights.map((weight, i) => ({ weight, ...drawLora(weight, { rank, seed, name: names[i]! }) })),
  );

/** PEFT's other start of LoRA, `init_lora_weights="gaussian"`: A normal with the standard deviation 1/r, B zero. */
export const gaussian: Initialization = (weights, { rank, seed, names }) =>
  Promise.resolve(
    weights.map((weight, i) => ({
      weight,
      ...drawFactors(weight, { rank, seed, name: names[i]!, draw: (stream) => stream.normal() / rank }),
    })),
  );
