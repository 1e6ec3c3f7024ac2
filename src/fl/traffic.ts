import type { Tensor } from "../engine/mod.ts";
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
      const payload = new Map<string, WireTensor>();
      for (const [name, value] of method.broadcast(state, lastRound)) {
        payload.set(name, { shape: value.shape, data: await value.floats() });
      }
      sizes.set(lastRound, size = encodePayload(payload, { codec: "f32" }).byteLength);
    }
    bytes += size;
  }
  return bytes;
}

/** Bytes of what the members of a cohort upload, from their trained parameters [C, ...]; each payload is encoded. */
export async function uploadBytes(values: ReadonlyMap<string, Tensor>, members: number): Promise<number> {
  const host = new Map<string, WireTensor>();
  for (const [name, value] of values) {
    host.set(name, { shape: value.shape.slice(1), data: await value.floats() });
  }
  let bytes = 0;
  for (let member = 0; member < members; member++) {
    const own = [...host].map(([name, { shape, data }]): [string, WireTensor] => {
      const size = data.length / members;
      return [name, { shape, data: data.subarray(member * size, (member + 1) * size) }];
    });
    bytes += encodePayload(new Map(own), { codec: "f32" }).byteLength;
  }
  return bytes;
}
