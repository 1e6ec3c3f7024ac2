import { NonFiniteError, type Tensor } from "../engine/mod.ts";
import type { FederatedMethod, ServerState } from "./method.ts";
import { shapesOf } from "./tensors.ts";
import { f32Codec } from "./transport/float_codec.ts";

/** Options of {@linkcode downloadBytes}. */
export interface DownloadOptions {
  readonly method: FederatedMethod;
  readonly participants: readonly number[];
  /** The last round that each client took part in; 0 for never. */
  readonly lastRounds: readonly number[];
}

/** Bytes of all that the participants of a round download; clients of one last round download the same. */
export async function downloadBytes(state: ServerState, options: DownloadOptions): Promise<number> {
  const { method, participants, lastRounds } = options;
  const sizes = new Map<number, number>();
  let bytes = 0;
  for (const client of participants) {
    const lastRound = lastRounds[client]!;
    let size = sizes.get(lastRound);
    if (size === undefined) {
      sizes.set(lastRound, size = f32Codec.payloadBytes(shapesOf(method.broadcast(state, lastRound))));
    }
    bytes += size;
  }
  return bytes;
}

/**
 * Bytes of what the members of a block, `clients` of the federation, upload.
 *
 * @param values trained parameters [C, ...] by name.
 * @throws {NonFiniteError} when a client would upload NaN or infinity.
 */
export async function uploadBytes(
  values: ReadonlyMap<string, Tensor>,
  clients: readonly number[],
): Promise<number> {
  const host = await Promise.all([...values].map(async ([name, x]) => [name, await x.floats()] as const));
  for (const [member, client] of clients.entries()) {
    for (const [name, data] of host) {
      const size = data.length / clients.length;
      const bad = data.subarray(member * size, (member + 1) * size).find((value) => !Number.isFinite(value));
      if (bad !== undefined) {
        throw new NonFiniteError(
          `Cannot upload ${name} of client ${client}: it holds ${bad}; lower the learning rate or clip gradients`,
        );
      }
    }
  }
  const shapes = new Map([...values].map(([name, { shape }]) => [name, shape.slice(1)]));
  return clients.length * f32Codec.payloadBytes(shapes);
}
