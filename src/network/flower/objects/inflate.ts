import { z } from "zod";
import { FlowerFormatError } from "../errors.ts";
import { decodeNpy } from "../records/npy.ts";
import type { FlowerArray, FlowerRecord, FlowerRecords } from "../records/record.ts";
import { decodeConfig, decodeMetrics } from "../records/record_values.ts";
import type { FlowerObject, ObjectType } from "./flower_object.ts";
import { parseFlatJson } from "./python_json.ts";

/** Limits of what is put together. */
export interface InflateOptions {
  /** Most bytes of all arrays, which may use one chunk many times. */
  readonly maxBytes: number;
}

const arrayBody = z.object({
  dtype: z.string(),
  shape: z.array(z.int().nonnegative()),
  stype: z.string(),
  arraychunk_ids: z.array(z.int().nonnegative()),
});

/**
 * Puts the records of a message together from its objects.
 *
 * @param id of the message's object.
 * @throws {FlowerFormatError} an object is missing, isn't what it should be, or all is too large; the message names the record.
 */
export function inflateRecords(
  id: string,
  objects: ReadonlyMap<string, FlowerObject>,
  { maxBytes }: InflateOptions,
): FlowerRecords {
  const inflater = new Inflater(objects, maxBytes);
  const { children: [dict, ...more] } = inflater.find(id, "Message");
  if (dict === undefined || more.length > 0) {
    throw new FlowerFormatError(
      `Cannot read message ${id}: expected one set of records, got ${more.length + (dict ? 1 : 0)}`,
    );
  }
  return inflater.map(dict, "RecordDict", (record) => inflater.record(record));
}

class Inflater {
  readonly #objects: ReadonlyMap<string, FlowerObject>;
  #bytesLeft: number;
  /** What has been read: an object that is used twice costs its memory once. */
  readonly #records = new Map<string, FlowerRecord>();
  readonly #arrays = new Map<string, FlowerArray>();

  constructor(objects: ReadonlyMap<string, FlowerObject>, maxBytes: number) {
    this.#objects = objects;
    this.#bytesLeft = maxBytes;
  }

  find(id: string, ...types: readonly ObjectType[]): FlowerObject {
    const object = this.#objects.get(id);
    if (object === undefined) throw new FlowerFormatError(`Cannot read object ${id}: it wasn't announced`);
    if (!types.includes(object.type as ObjectType)) {
      throw new FlowerFormatError(
        `Cannot read object ${id}: expected ${types.join(" or ")}, got ${object.type}`,
      );
    }
    return object;
  }

  /** What an object that names others holds, in its order. */
  map<V>(id: string, type: ObjectType, read: (id: string) => V): Map<string, V> {
    const { body, children } = this.find(id, type);
    const names = parseFlatJson(decodeText(body, id));
    if (names === undefined) {
      throw new FlowerFormatError(`Cannot read object ${id}: expected names of ids in JSON`);
    }
    const values = new Map<string, V>();
    const known = new Set(children);
    for (const [name, child] of names) {
      try {
        if (!known.has(child)) {
          throw new FlowerFormatError(`Cannot read object ${child}: it is none of its parent's children`);
        }
        values.set(name, read(child));
      } catch (error) {
        if (error instanceof Error) {
          throw new FlowerFormatError(`${error.message} (${name})`, { cause: error });
        }
        throw error;
      }
    }
    return values;
  }

  record(id: string): FlowerRecord {
    const known = this.#records.get(id);
    if (known) return known;
    const { type, body } = this.find(id, "ArrayRecord", "MetricRecord", "ConfigRecord");
    const record: FlowerRecord = type === "MetricRecord"
      ? { type: "metrics", values: decodeMetrics(body) }
      : type === "ConfigRecord"
      ? { type: "config", values: decodeConfig(body) }
      : { type: "arrays", arrays: this.map(id, "ArrayRecord", (array) => this.#array(array)) };
    this.#records.set(id, record);
    return record;
  }

  #array(id: string): FlowerArray {
    const known = this.#arrays.get(id);
    if (known) return known;
    const object = this.find(id, "Array");
    const parsed = arrayBody.safeParse(parseJson(decodeText(object.body, id)));
    const fail = (reason: string) => new FlowerFormatError(`Cannot read array ${id}: ${reason}`);
    if (!parsed.success) throw fail(z.prettifyError(parsed.error));
    const { dtype, shape, stype, arraychunk_ids: order } = parsed.data;
    if (stype !== "numpy.ndarray") {
      throw fail(`expected the serialization numpy.ndarray, got ${JSON.stringify(stype)}`);
    }
    const chunks = order.map((index) => {
      const chunk = object.children[index];
      if (chunk === undefined) throw fail(`expected a chunk below ${object.children.length}, got ${index}`);
      return this.find(chunk, "ArrayChunk").body;
    });
    const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    this.#bytesLeft -= size;
    if (this.#bytesLeft < 0) throw fail("the arrays of its message are larger than the node's limit");
    const bytes = new Uint8Array(size);
    let end = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, end);
      end += chunk.length;
    }
    const array = decodeNpy(bytes);
    if (array.dtype !== dtype || array.shape.join() !== shape.join()) {
      throw fail(
        `its bytes are ${array.dtype} [${array.shape.join(", ")}], and it says ${dtype} [${
          shape.join(", ")
        }]`,
      );
    }
    this.#arrays.set(id, array);
    return array;
  }
}

function decodeText(bytes: Uint8Array, id: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FlowerFormatError(`Cannot read object ${id}: its text isn't UTF-8`, { cause });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What isn't JSON fails the check that follows.
    return undefined;
  }
}
