import { countNonFinite, type Tensor, tensor } from "../../engine/mod.ts";
import type { Tensors } from "../tensors.ts";
import { findNonFinite } from "../find_non_finite.ts";

/** What came out of the training of clients. */
export interface InspectedTraining {
  /** Mean training loss of each. */
  readonly losses: number[];
  /** Whose loss or values are no longer finite, by their place in the block, and what isn't. */
  readonly diverged: ReadonlyMap<number, string>;
}

/**
 * Reads the losses of clients, f32 [C], and finds out whether these and what they would send are finite: one readback, the rest is
 * counted on the GPU.
 */
export async function inspectTraining(losses: Tensor, upload: Tensors): Promise<InspectedTraining> {
  using counts = tensor(losses.gpu, new Uint32Array(losses.size));
  for (const values of upload.values()) countNonFinite(counts, values);
  const [lossOf, countOf] = await Promise.all([losses.floats(), counts.data()]);
  const diverged = new Map<number, string>();
  for (const [member, loss] of lossOf.entries()) {
    const found = Number.isFinite(loss)
      ? countOf[member]! > 0 ? await findNonFinite(upload, member) : undefined
      : `its training loss is ${loss}`;
    if (found !== undefined) diverged.set(member, `${found}; lower the learning rate or clip gradients`);
  }
  return { losses: [...lossOf], diverged };
}
