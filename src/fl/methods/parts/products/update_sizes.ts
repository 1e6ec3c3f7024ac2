import { mul, tidy } from "../../../../engine/mod.ts";
import { productNorm } from "../../../../engine/linalg/mod.ts";
import type { Uploads } from "../../../aggregation/aggregator.ts";
import { take, type Tensors } from "../../../tensors.ts";

/**
 * What clients weigh by the size of their updates: ‖s·B_k·A_k‖_F over all layers by its sum over clients, in the groups that they came in;
 * their shares where all are 0.
 *
 * @param scales s of each layer.
 */
export async function weightsBySize(
  each: readonly Uploads[],
  scales: ReadonlyMap<string, number>,
): Promise<number[][]> {
  const norms = await Promise.all(each.map(({ values }) => readNorms(values, scales)));
  const total = norms.flat().reduce((sum, norm) => sum + norm, 0);
  return each.map(({ shares }, i) => total > 0 ? norms[i]!.map((norm) => norm / total) : [...shares]);
}

async function readNorms(values: Tensors, scales: ReadonlyMap<string, number>): Promise<number[]> {
  const ofLayers = tidy(() =>
    Array.from(
      scales,
      ([layer, scale]) =>
        mul(productNorm({ b: take(values, `${layer}.loraB`), a: take(values, `${layer}.loraA`) }), scale),
    )
  );
  try {
    const read = await Promise.all(ofLayers.map((norm) => norm.floats()));
    return Array.from(read[0]!, (_, client) => Math.hypot(...read.map((norms) => norms[client]!)));
  } finally {
    for (const norm of ofLayers) norm.dispose();
  }
}
