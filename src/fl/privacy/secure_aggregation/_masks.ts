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

/** The seed of the mask that two clients share; the same from either side. */
export async function pairSeed(
  own: { readonly id: number; readonly keys: KeyPair },
  other: { readonly id: number; readonly maskKey: Bytes },
  session: string,
): Promise<Bytes> {
  const pair = [own.id, other.id].sort((a, b) => a - b);
  return await expandKey(await agree(own.keys, other.maskKey), purpose("mask", session, pair));
}

/** The client of lower number adds the mask of a pair, the other takes it away. */
export function signOf(own: number, other: number): 1 | -1 {
  return own < other ? 1 : -1;
}

/** Adds a vector to another, modulo 2³². */
export function accumulate(sum: Uint32Array, vector: Uint32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i]! + vector[i]!) | 0;
}

function deduct(sum: Uint32Array, vector: Uint32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i]! - vector[i]!) | 0;
}
