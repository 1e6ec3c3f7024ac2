import { countNonFinite, NonFiniteError, type Tensor, tensor } from "../../engine/mod.ts";
import type { Client } from "../method.ts";
import type { Tensors } from "../tensors.ts";

/**
 * Reads the losses of clients, f32 [C], and makes sure that these and what they send are finite: one readback, the rest is counted
 * on the GPU.
 *
 * @throws {NonFiniteError} naming the client, and what isn't.
 */
export async function readFinite(
  losses: Tensor,
  upload: Tensors,
  { clients, round }: { readonly clients: readonly Client[]; readonly round: number },
): Promise<number[]> {
  using counts = tensor(losses.gpu, new Uint32Array(clients.length));
  for (const values of upload.values()) countNonFinite(counts, values);
  const [lossOf, countOf] = await Promise.all([losses.floats(), counts.data()]);
  for (const [member, { id }] of clients.entries()) {
    const loss = lossOf[member]!;
    if (!Number.isFinite(loss)) {
      throw new NonFiniteError(
        `Cannot continue after round ${round}: the training loss of client ${id} is ${loss}; ${advice}`,
      );
    }
    if (countOf[member]! > 0) throw await describe(upload, member, id);
  }
  return [...lossOf];
}

const advice = "lower the learning rate or clip gradients";

async function describe(upload: Tensors, member: number, id: number): Promise<NonFiniteError> {
  for (const [name, values] of upload) {
    const all = await values.floats();
    const size = all.length / values.shape[0]!;
    const bad = all.subarray(member * size, (member + 1) * size).find((value) => !Number.isFinite(value));
    if (bad !== undefined) {
      return new NonFiniteError(`Cannot upload ${name} of client ${id}: it holds ${bad}; ${advice}`);
    }
  }
  return new NonFiniteError(`Cannot upload what client ${id} has trained: it isn't finite; ${advice}`);
}
