import { z } from "zod";
import { CorruptFileError } from "../../data/errors.ts";
import { formatShape, NonFiniteError, type Shape, sizeOf } from "../../engine/mod.ts";
import type { StoredTensor } from "../../models/weights/dtype.ts";
import { encodeSafetensors, type Safetensors, safetensorsLength } from "../../models/weights/safetensors.ts";
import type { WeightEntry } from "../../models/weights/weight_source.ts";
import { type HostTensor, type HostTensors, type Shapes, shapesOf } from "../tensors.ts";
import type { Codec, PayloadOptions } from "./codec.ts";

/** What a codec is made of. */
export interface CodecParts extends Pick<Codec, "name" | "lossless" | "feedback" | "transmit"> {
  /** What the payload says of it beside the name. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Whether the file has the values of all tensors together; their names and shapes then stand in its metadata. */
  readonly joined: boolean;
  /** The tensors of the file. */
  entries(shapes: Shapes): ReadonlyMap<string, WeightEntry>;
  /** Their data by name, for values in the order of their names. */
  store(values: HostTensors, options: PayloadOptions): ReadonlyMap<string, StoredTensor["data"]>;
  /** The values in a file that has those tensors. */
  load(tensors: ReadonlyMap<string, StoredTensor>, shapes: Shapes): Map<string, HostTensor>;
}

const shapesSchema = z.array(z.tuple([z.string(), z.array(z.int().min(0))]));

/** The error for a payload that its codec can't have written. */
export function corruptPayload(what: string, options?: ErrorOptions): CorruptFileError {
  return new CorruptFileError(`Cannot decode a payload: ${what}`, options);
}

/** A codec whose payloads are safetensors files: the checks and the metadata that all of them share. */
export function makeCodec(parts: CodecParts): Codec {
  const { name, lossless, feedback, options, joined } = parts;
  const metadata = (shapes: Shapes): Record<string, string> => ({
    codec: name,
    ...(options && { options: JSON.stringify(options) }),
    ...(joined && { shapes: JSON.stringify([...sorted(shapes)]) }),
  });
  return {
    name,
    lossless,
    feedback,
    transmit: parts.transmit,
    payloadBytes: (shapes) => safetensorsLength(parts.entries(shapes), metadata(shapes)),
    encode(values, options) {
      checkValues(values);
      const shapes = shapesOf(values);
      const data = parts.store(sorted(values), options);
      const stored = [...parts.entries(shapes)].map(([name, entry]): [string, StoredTensor] => [
        name,
        { ...entry, data: data.get(name)! } as StoredTensor,
      ]);
      return encodeSafetensors(new Map(stored), metadata(shapes));
    },
    decode({ tensors, metadata }, { expected } = {}) {
      const shapes = joined ? readShapes(metadata["shapes"]) : shapesOf(tensors);
      if (expected) checkShapes(shapes, expected);
      checkEntries(tensors, { expected: parts.entries(shapes), codec: name });
      const values = parts.load(tensors, shapes);
      for (const [name, { data }] of values) {
        const bad = firstNonFinite(data);
        if (bad !== undefined) {
          throw corruptPayload(`${JSON.stringify(name)} holds ${data[bad]} at element ${bad}`);
        }
      }
      return values;
    },
  };
}

/** The entries of a map in the order of their names. */
export function sorted<T>(named: ReadonlyMap<string, T>): Map<string, T> {
  return new Map([...named].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function checkValues(values: HostTensors): void {
  for (const [name, { shape, data }] of values) {
    if (sizeOf(shape) !== data.length) {
      throw new TypeError(
        `Cannot encode ${JSON.stringify(name)}: shape ${
          formatShape(shape)
        } must agree with ${data.length} elements`,
      );
    }
    const bad = firstNonFinite(data);
    if (bad !== undefined) {
      throw new NonFiniteError(
        `Cannot encode ${JSON.stringify(name)}: it holds ${
          data[bad]
        } at element ${bad}, expected finite numbers`,
      );
    }
  }
}

/** A loop, as a call for each of millions of values takes longer than the encoding. */
function firstNonFinite(data: Float32Array): number | undefined {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return i;
  return undefined;
}

function readShapes(text: string | undefined): Map<string, Shape> {
  let shapes: [string, number[]][];
  try {
    shapes = shapesSchema.parse(JSON.parse(text ?? ""));
  } catch (cause) {
    throw corruptPayload("its metadata must list names and shapes", { cause });
  }
  const named = new Map(shapes);
  if (named.size < shapes.length) throw corruptPayload("its metadata lists a name twice");
  const size = shapes.reduce((sum, [, shape]) => sum + sizeOf(shape), 0);
  if (!Number.isSafeInteger(size)) throw corruptPayload("its metadata lists shapes that are too large");
  return named;
}

function checkShapes(found: Shapes, expected: Shapes): void {
  const describe = (shape: Shape | undefined) => shape === undefined ? "nothing" : formatShape(shape);
  for (const name of new Set([...expected.keys(), ...found.keys()])) {
    const [is, wanted] = [found, expected].map((shapes) => describe(shapes.get(name)));
    if (is !== wanted) throw corruptPayload(`expected ${wanted} as ${JSON.stringify(name)}, got ${is}`);
  }
}

function checkEntries(
  tensors: Safetensors["tensors"],
  { expected, codec }: { readonly expected: ReadonlyMap<string, WeightEntry>; readonly codec: string },
): void {
  const describe = ({ dtype, shape }: WeightEntry) => `${dtype} ${formatShape(shape)}`;
  for (const name of new Set([...expected.keys(), ...tensors.keys()])) {
    const [is, wanted] = [tensors.get(name), expected.get(name)].map((entry) =>
      entry === undefined ? "nothing" : describe(entry)
    );
    if (is !== wanted) {
      throw corruptPayload(`codec ${codec} sends ${wanted} as ${JSON.stringify(name)}, got ${is}`);
    }
  }
}
