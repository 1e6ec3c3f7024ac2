import { NonFiniteError, Tensor } from "../engine/mod.ts";
import type { FederatedMethod, ServerState } from "./method.ts";
import { encodePayload, type WireTensor } from "./wire.ts";

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
      const payload = await Promise.all([...method.broadcast(state, lastRound)].map(toHost));
      sizes.set(lastRound, size = encodePayload(new Map(payload), { codec: "f32" }).byteLength);
    }
    bytes += size;
  }
  return bytes;
}

/**
 * Bytes of what the members of a cohort, `clients` of the federation, upload; each payload is encoded.
 *
 * @param values trained parameters [C, ...] by name.
 * @throws {NonFiniteError} when a client would upload NaN or infinity.
 */
export async function uploadBytes(
  values: ReadonlyMap<string, Tensor>,
  clients: readonly number[],
): Promise<number> {
  const host = await Promise.all([...values].map(toHost));
  let bytes = 0;
  for (const [member, client] of clients.entries()) {
    const own = host.map(([name, { shape, data }]): [string, WireTensor] => {
      const size = data.length / clients.length;
      const part = data.subarray(member * size, (member + 1) * size);
      const bad = part.find((value) => !Number.isFinite(value));
      if (bad !== undefined) {
        throw new NonFiniteError(
          `Cannot upload ${name} of client ${client}: it holds ${bad}; lower the learning rate or clip gradients`,
        );
      }
      return [name, { shape: shape.slice(1), data: part }];
    });
    bytes += encodePayload(new Map(own), { codec: "f32" }).byteLength;
  }
  return bytes;
}

async function toHost([name, value]: [string, Tensor | WireTensor]): Promise<[string, WireTensor]> {
  return [name, value instanceof Tensor ? { shape: value.shape, data: await value.floats() } : value];
}
