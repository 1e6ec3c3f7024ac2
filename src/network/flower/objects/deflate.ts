import { encodeNpy } from "../records/npy.ts";
import type { ArrayRecord, FlowerArray, FlowerRecord, FlowerRecords } from "../records/record.ts";
import { encodeConfig, encodeMetrics } from "../records/record_values.ts";
import { flowerProto, type Proto, type ProtoInit } from "../wire/flower_proto.ts";
import { type FlowerObject, makeObject, type ObjectType } from "./flower_object.ts";
import { type PythonJson, pythonJson } from "./python_json.ts";

/** Most bytes of an array in one object; Flower's own nodes have the same. */
const CHUNK = 5 << 20;

/** Objects of a message by their ids, children first; the last one is the message. */
export type ObjectSet = ReadonlyMap<string, FlowerObject>;

/** What a reply says of itself; its own id follows from its objects. */
export type ReplyMetadata = Omit<Proto<"Metadata">, "messageId">;
/** Why there are no records. */
export interface ReplyError {
  /** 1: the type of the message isn't served; 2: the handler failed. */
  readonly code: 1 | 2;
  readonly reason: string;
}

/**
 * Takes a message apart into objects.
 *
 * @param content its records, or the error that it has in their place.
 * @throws {TypeError} a record has a value that Flower has no type for, or an array that isn't of float32.
 * @throws {RangeError} an integer doesn't fit 64 bits, or an array's shape its data.
 */
export function deflateMessage(metadata: ReplyMetadata, content: FlowerRecords | ReplyError): ObjectSet {
  const objects = new Map<string, FlowerObject>();
  const add = (type: ObjectType, children: Iterable<string>, body: Uint8Array): string => {
    const object = makeObject(type, children, body);
    objects.set(object.id, object);
    return object.id;
  };
  if ("code" in content) {
    add("Message", [], flowerProto.encode("Message", { metadata, error: errorProto(content) }));
    return objects;
  }
  const records = mapValues(content, (record) => addRecord(record, add));
  const dict = add("RecordDict", records.values(), jsonBytes(records));
  add("Message", [dict], flowerProto.encode("Message", { metadata }));
  return objects;
}

/** An error as messages carry it. */
export function errorProto({ code, reason }: ReplyError): ProtoInit<"Error"> {
  return { code: BigInt(code), reason };
}

/** The tree under an object of a set, for the announcement of a message. */
export function objectTree(objects: ObjectSet, id: string): ProtoInit<"ObjectTree"> {
  return { objectId: id, children: objects.get(id)!.children.map((child) => objectTree(objects, child)) };
}

type Add = (type: ObjectType, children: Iterable<string>, body: Uint8Array) => string;

function addRecord(record: FlowerRecord, add: Add): string {
  switch (record.type) {
    case "arrays":
      return addArrays(record, add);
    case "metrics":
      return add("MetricRecord", [], encodeMetrics(record.values));
    case "config":
      return add("ConfigRecord", [], encodeConfig(record.values));
  }
}

function addArrays({ arrays }: ArrayRecord, add: Add): string {
  const ids = mapValues(arrays, (array, name) => {
    try {
      return addArray(array, add);
    } catch (error) {
      if (error instanceof Error) error.message += ` (${name})`;
      throw error;
    }
  });
  return add("ArrayRecord", ids.values(), jsonBytes(ids));
}

function addArray(array: FlowerArray, add: Add): string {
  const bytes = encodeNpy(array);
  const chunks: string[] = [];
  for (let start = 0; start < bytes.length; start += CHUNK) {
    chunks.push(add("ArrayChunk", [], bytes.subarray(start, start + CHUNK)));
  }
  // Equal chunks are one object, so the body numbers them by their first use.
  const unique = [...new Set(chunks)];
  const body = new Map<string, PythonJson>([
    ["dtype", array.dtype],
    ["shape", array.shape],
    ["stype", "numpy.ndarray"],
    ["arraychunk_ids", chunks.map((id) => unique.indexOf(id))],
  ]);
  return add("Array", unique, jsonBytes(body));
}

function jsonBytes(value: PythonJson): Uint8Array {
  return new TextEncoder().encode(pythonJson(value));
}

function mapValues<V, W>(map: ReadonlyMap<string, V>, of: (value: V, key: string) => W): Map<string, W> {
  return new Map([...map].map(([key, value]) => [key, of(value, key)]));
}
