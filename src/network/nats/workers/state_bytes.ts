import { CorruptFileError } from "../../../data/mod.ts";
import { type EncodedTree, encodeTree, type Tree } from "../../../fl/tree.ts";
import type { HostTensors } from "../../../fl/tensors.ts";
import { encodeSafetensors, readSafetensors } from "../../../models/mod.ts";

/** A method's state as one safetensors file; equal states give equal bytes. */
export async function encodeState(state: Tree): Promise<Uint8Array<ArrayBuffer>> {
  const { structure, tensors } = await encodeTree(state);
  return encodeHost(tensors, { structure: JSON.stringify(structure) });
}

/**
 * Reads what {@linkcode encodeState} wrote, for `decodeTree`.
 *
 * @throws {CorruptFileError} when it can't be read.
 */
export function decodeState(bytes: Uint8Array): EncodedTree {
  const { tensors, metadata } = decodeHost(bytes);
  return { structure: JSON.parse(metadata["structure"] ?? "null"), tensors };
}

/** What clients of a block have kept, undefined for one that has nothing; those of different clients are different bytes. */
export function encodeKept(
  kept: readonly (HostTensors | undefined)[],
  clients: readonly { readonly id: number }[],
): Uint8Array<ArrayBuffer> {
  const all = new Map(
    kept.flatMap((each, member) => [...each ?? []].map(([name, value]) => [`${member}/${name}`, value])),
  );
  const has = kept.map((each) => each !== undefined);
  return encodeHost(all, { has: JSON.stringify(has), clients: JSON.stringify(clients.map(({ id }) => id)) });
}

/**
 * Reads what {@linkcode encodeKept} wrote.
 *
 * @throws {CorruptFileError} when it isn't of so many clients.
 */
export function decodeKept(bytes: Uint8Array, members: number): (HostTensors | undefined)[] {
  const { tensors, metadata } = decodeHost(bytes);
  const has = JSON.parse(metadata["has"] ?? "[]") as boolean[];
  if (has.length !== members) {
    throw new CorruptFileError(
      `Cannot read what clients keep: expected ${members} clients, got ${has.length}`,
    );
  }
  return has.map((each, member) => {
    const prefix = `${member}/`;
    if (!each) return undefined;
    return new Map(
      [...tensors].filter(([name]) => name.startsWith(prefix)).map((
        [name, value],
      ) => [name.slice(prefix.length), value]),
    );
  });
}

/** Host tensors as a safetensors file. */
export function encodeHost(
  tensors: HostTensors,
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const stored = [...tensors].map(([name, { shape, data }]) =>
    [name, { dtype: "F32", shape, data }] as const
  );
  return encodeSafetensors(new Map(stored), metadata);
}

/**
 * Reads what {@linkcode encodeHost} wrote.
 *
 * @throws {CorruptFileError} when a tensor isn't f32.
 */
export function decodeHost(
  bytes: Uint8Array,
): { readonly tensors: HostTensors; readonly metadata: Readonly<Record<string, string>> } {
  const { tensors, metadata } = readSafetensors(bytes);
  const own = [...tensors].map(([name, { dtype, shape, data }]) => {
    if (dtype !== "F32") throw new CorruptFileError(`Cannot read tensor ${name}: expected F32, got ${dtype}`);
    return [name, { shape, data: data as Float32Array }] as const;
  });
  return { tensors: new Map(own), metadata };
}
