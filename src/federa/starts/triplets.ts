import { randomKey, RandomStream, tensor, zeros } from "../../engine/mod.ts";
import { TripletLinear } from "../layers/factored/triplet_linear.ts";
import type { Initialization } from "./initialization.ts";

/** Standard deviation of A and B, as AdaLoRA has it. */
const deviation = 0.02;

/** AdaLoRA's start (arXiv 2303.10512): A and B normal, E zero, so that the outputs are the pretrained ones. */
export const triplets: Initialization = (weights, { rank, seed, names }) =>
  Promise.resolve(weights.map((weight, i) => {
    const { gpu, shape: [out, width] } = weight;
    const stream = new RandomStream(randomKey(seed, "triplets", names[i]!));
    const draw = (shape: [number, number]) =>
      tensor(gpu, Float32Array.from({ length: shape[0] * shape[1] }, () => deviation * stream.normal()), {
        shape,
      });
    const parts = { weight, loraA: draw([rank, width!]), loraB: draw([out!, rank]) };
    const loraE = zeros(gpu, [rank]);
    return { ...parts, create: (rest) => new TripletLinear({ ...parts, loraE, ...rest }) };
  }));
