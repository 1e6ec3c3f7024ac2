import { createHash } from "node:crypto";
import { FlowerFormatError } from "../errors.ts";

/** Types of objects, from a message down to the bytes of its arrays. */
export type ObjectType =
  | "Message"
  | "RecordDict"
  | "ArrayRecord"
  | "Array"
  | "ArrayChunk"
  | "MetricRecord"
  | "ConfigRecord";

/** A part of a message, named by a hash of its bytes, so that what a server has already isn't sent again. */
export interface FlowerObject {
  /** SHA-256 of `bytes`, in lowercase hexadecimal. */
  readonly id: string;
  readonly type: string;
  /** Ids of the objects that the body refers to, each once. */
  readonly children: readonly string[];
  readonly body: Uint8Array;
  /** Type, children, length of the body, a zero, and the body. */
  readonly bytes: Uint8Array;
}

/** Longest header that is read: 400,000 children, and few enough bytes to search. */
const MAX_HEADER = 1 << 25;
const ID = /^[0-9a-f]{64}$/;

/** Whether a text is the id of an object. */
export function isObjectId(text: string): boolean {
  return ID.test(text);
}

/** An object of a body; children are kept once each, in order. */
export function makeObject(type: ObjectType, children: Iterable<string>, body: Uint8Array): FlowerObject {
  const unique = [...new Set(children)];
  const header = new TextEncoder().encode(`${type} ${unique.join(",")} ${body.length}\0`);
  const bytes = new Uint8Array(header.length + body.length);
  bytes.set(header);
  bytes.set(body, header.length);
  return { id: hashOf(bytes), type, children: unique, body: bytes.subarray(header.length), bytes };
}

/**
 * Reads an object that was asked for by its id.
 *
 * @throws {FlowerFormatError} the bytes have another hash, or aren't an object.
 */
export function parseObject(id: string, bytes: Uint8Array): FlowerObject {
  const fail = (reason: string) => new FlowerFormatError(`Cannot read object ${id}: ${reason}`);
  const found = hashOf(bytes);
  if (found !== id) throw fail(`its bytes have the hash ${found}`);
  const end = bytes.subarray(0, MAX_HEADER).indexOf(0);
  if (end === -1) throw fail("expected a header that ends in a zero");
  const header = new TextDecoder().decode(bytes.subarray(0, end));
  const [, type, list, length] = /^([A-Za-z]+) ([0-9a-f,]*) (\d{1,15})$/.exec(header) ?? [];
  if (type === undefined || list === undefined) {
    throw fail(`expected a header of type, children and length, got ${JSON.stringify(header.slice(0, 100))}`);
  }
  const body = bytes.subarray(end + 1);
  if (Number(length) !== body.length) throw fail(`expected a body of ${length} bytes, got ${body.length}`);
  const children = list === "" ? [] : list.split(",");
  const wrong = children.find((child) => !isObjectId(child));
  if (wrong !== undefined) throw fail(`expected ids of children, got ${JSON.stringify(wrong.slice(0, 100))}`);
  return { id, type, children, body, bytes };
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
