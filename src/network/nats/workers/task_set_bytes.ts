import { CorruptFileError } from "../../../data/mod.ts";
import { encodeSafetensors, readSafetensors, type StoredTensor } from "../../../models/mod.ts";
import type { Column, ColumnData } from "../../../models/mod.ts";
import type { TaskSet } from "../../../tasks/mod.ts";

/** Tokens and targets, and which client has which examples. */
export interface SharedOut {
  readonly train: TaskSet;
  readonly clients: readonly (readonly number[])[];
}

/** Tokens, targets and their shares as one safetensors file; equal ones give equal bytes. */
export function encodeSharedOut({ train, clients }: SharedOut): Uint8Array<ArrayBuffer> {
  const { numExamples, size, length, inputs, targets, targetsPerRow, firstRows, numTruncated } = train;
  const stored = new Map<string, StoredTensor>();
  const columns: Record<string, { shape: readonly number[]; perToken: boolean }> = {};
  for (const [name, { data, shape, perToken }] of Object.entries(inputs)) {
    stored.set(`inputs/${name}`, storedOf(data));
    columns[name] = { shape, perToken };
  }
  stored.set("targets", storedOf(targets));
  stored.set("firstRows", storedOf(firstRows));
  stored.set("examples", storedOf(Uint32Array.from(clients.flat())));
  stored.set("numbers", storedOf(Uint32Array.from(clients, (each) => each.length)));
  return encodeSafetensors(stored, {
    set: JSON.stringify({ numExamples, size, length, targetsPerRow, numTruncated, columns }),
  });
}

/**
 * Reads what {@linkcode encodeSharedOut} wrote.
 *
 * @throws {CorruptFileError} when its parts don't fit together.
 */
export function decodeSharedOut(bytes: Uint8Array): SharedOut {
  const { tensors, metadata } = readSafetensors(bytes);
  const { columns, ...plain } = JSON.parse(metadata["set"] ?? "{}") as
    & Pick<TaskSet, "numExamples" | "size" | "length" | "targetsPerRow" | "numTruncated">
    & { readonly columns: Record<string, Omit<Column, "data">> };
  const find = <Data>(name: string, kinds: readonly string[], count?: number): Data => {
    const found = tensors.get(name);
    if (
      found === undefined || !kinds.includes(found.dtype) ||
      (count ?? found.data.length) !== found.data.length
    ) {
      throw new CorruptFileError(`Cannot read the data of a run: its ${name} is missing or of another size`);
    }
    return found.data as Data;
  };
  const inputs = Object.fromEntries(
    Object.entries(columns).map(([name, column]) => {
      const count = column.shape.reduce((product, each) => product * each, plain.size);
      return [name, { ...column, data: find<ColumnData>(`inputs/${name}`, ["F32", "I32", "U32"], count) }];
    }),
  );
  const numbers = find<Uint32Array>("numbers", ["U32"]);
  const examples = find<Uint32Array>("examples", ["U32"], numbers.reduce((sum, each) => sum + each, 0));
  let from = 0;
  return {
    train: {
      ...plain,
      inputs,
      targets: find<Int32Array | Float32Array>("targets", ["F32", "I32"], plain.size * plain.targetsPerRow),
      firstRows: find<Uint32Array>("firstRows", ["U32"], plain.numExamples + 1),
    },
    clients: Array.from(numbers, (count) => [...examples.subarray(from, from += count)]),
  };
}

function storedOf(data: ColumnData): StoredTensor {
  const shape = [data.length];
  if (data instanceof Float32Array) return { dtype: "F32", shape, data };
  return data instanceof Int32Array ? { dtype: "I32", shape, data } : { dtype: "U32", shape, data };
}
