import {
  disposeAll,
  ones,
  permute,
  qr,
  randomKey,
  RandomStream,
  reshape,
  type Tensor,
  tensor,
  tidy,
  transpose,
  zeros,
} from "../../engine/mod.ts";
import { RavanLinear } from "../layers/factored/ravan_linear.ts";
import type { Initialization } from "./initialization.ts";

/** Options of {@linkcode ravan}. */
export interface RavanOptions {
  /** h. */
  readonly heads: number;
}

/**
 * RAVAN's start (arXiv 2506.05568): bases drawn by the seed, orthonormal across all heads where h·r vectors of that length can be, and
 * within each head otherwise; H_i = 0 and s_i = 1, so that the outputs are the pretrained ones.
 */
export function ravanBases({ heads }: RavanOptions): Initialization {
  return (weights, { rank, seed, names }) =>
    Promise.all(weights.map(async (weight, i) => {
      const { gpu, shape: [out, width] } = weight;
      const basis = (side: string, length: number) =>
        orthonormalColumns(weight, { key: `${names[i]} ${side}`, seed, length, heads, rank });
      const loraB = await basis("B", out!);
      using columns = await basis("A", width!);
      const loraA = transpose(columns);
      const loraH = zeros(gpu, [heads, rank, rank]);
      const headScales = ones(gpu, [heads]);
      const parts = { weight, loraA, loraB };
      return { ...parts, create: (rest) => new RavanLinear({ ...parts, loraH, headScales, ...rest }) };
    }));
}

interface BasisOptions extends RavanOptions {
  readonly key: string;
  readonly seed: number;
  readonly length: number;
  readonly rank: number;
}

/** Columns [length, h·r] that were drawn and made orthonormal. */
async function orthonormalColumns(
  { gpu }: Tensor,
  { key, seed, length, heads, rank }: BasisOptions,
): Promise<Tensor> {
  const stream = new RandomStream(randomKey(seed, "ravan", key));
  // All heads as one matrix, or each as its own.
  const [matrices, columns] = heads * rank <= length ? [1, heads * rank] : [heads, rank];
  const values = Float32Array.from({ length: matrices * length * columns }, () => stream.normal());
  using drawn = tensor(gpu, values, { shape: [matrices, length, columns] });
  const { q, r } = await qr(drawn);
  try {
    return tidy(() => reshape(permute(q, [1, 0, 2]), [length, heads * rank]));
  } finally {
    disposeAll([q, r]);
  }
}
