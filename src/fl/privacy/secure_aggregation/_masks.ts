import { agree, expandKey, type KeyPair, purpose } from "./_keys.ts";
import type { Bytes } from "./messages.ts";
import type { Primitives } from "./primitives.ts";

/** Numbers of a mask that are made at once. */
const CHUNK = 2 ** 20;

/** Adds to a vector the mask of a seed, or takes it away, modulo 2³². */
export async function addMask(
  vector: Uint32Array,
  seed: Bytes,
  { sign, expand }: { readonly sign: 1 | -1 } & Pick<Primitives, "expand">,
): Promise<void> {
  for (let start = 0; start < vector.length; start += CHUNK) {
    const part = vector.subarray(start, start + CHUNK);
    const mask = await expand(seed, start, part.length);
    if (sign === 1) accumulate(part, mask);
    else deduct(part, mask);
  }
}

/** Adds to a vector the masks that a client shares with others: of a pair the one of lower number adds it, the other takes it away. */
export async function addPairMasks(
  vector: Uint32Array,
  own: { readonly id: number; readonly keys: KeyPair },
  { others, session, expand }: Pick<Primitives, "expand"> & {
    readonly others: readonly { readonly id: number; readonly maskKey: Bytes }[];
    readonly session: string;
  },
): Promise<void> {
  const seeds = await Promise.all(others.map(async ({ id, maskKey }) => {
    const pair = [own.id, id].sort((a, b) => a - b);
    return await expandKey(await agree(own.keys, maskKey), purpose("mask", session, pair));
  }));
  for (const [place, { id }] of others.entries()) {
    await addMask(vector, seeds[place]!, { sign: own.id < id ? 1 : -1, expand });
  }
}

/** Adds a vector to another, modulo 2³². */
export function accumulate(sum: Uint32Array, vector: Uint32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i]! + vector[i]!) | 0;
}

function deduct(sum: Uint32Array, vector: Uint32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i]! - vector[i]!) | 0;
}
