import { excerpt } from "../../data/text/excerpt.ts";
import { ARRAY_CLASSES, type Dtype, type DtypeArrayClass } from "./dtype.ts";
import { CorruptFileError } from "../errors.ts";

/** One tensor's entry: bytes `begin` to `end` of the data section, checked against shape and dtype. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly arrayClass: DtypeArrayClass;
  readonly shape: readonly number[];
  readonly length: number;
  readonly begin: number;
  readonly end: number;
}

/** A header whose entries, in order of offset, cover the data section exactly. */
export interface Header {
  readonly entries: readonly HeaderEntry[];
  readonly metadata: Record<string, string>;
}

/** The longest header that is read or written, in bytes; the reference implementation has the same limit. */
export const MAX_HEADER_LENGTH = 100_000_000;

/** Bytes of the header's length, in front of everything. */
export const PREFIX_LENGTH = 8;

/** A name that would be mistaken for something else: the metadata entry, or an object's prototype. */
export function isReservedName(name: string): boolean {
  return name === "__metadata__" || name === "__proto__";
}

/** The error for a broken file. */
export function corrupt(what: string, options?: ErrorOptions): CorruptFileError {
  return new CorruptFileError(`Cannot read safetensors: ${what}`, options);
}

/**
 * Length of the header as the first bytes of a file give it, checked against the length of the whole file.
 *
 * @param prefix the file's first 8 bytes, or all of a shorter file.
 */
export function parsePrefix(prefix: Uint8Array, fileLength: number): number {
  if (fileLength < PREFIX_LENGTH) {
    throw corrupt(`the file must hold at least ${PREFIX_LENGTH} bytes, got ${fileLength}`);
  }
  // "version https://git-lfs…": what a clone without Git LFS leaves in a weight file's place.
  if (String.fromCharCode(...prefix) === "version ") {
    throw corrupt("the file is a Git LFS pointer, not the weights; run git lfs pull in its folder");
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_LENGTH) {
    throw corrupt(
      `the header may take ${MAX_HEADER_LENGTH} bytes, got a length of ${length}; is it a safetensors file?`,
    );
  }
  const rest = fileLength - PREFIX_LENGTH;
  if (length > rest) throw corrupt(`the header should take ${length} bytes, but ${rest} follow`);
  return Number(length);
}

/** Reads and checks a header against the length of the data section that follows it. */
export function parseHeader(bytes: Uint8Array, dataLength: number): Header {
  const parsed = parseJson(bytes);
  if (!isObject(parsed)) throw corrupt(`the header must be a JSON object, got ${excerpt(parsed)}`);
  let metadata: Record<string, string> = {};
  const entries: HeaderEntry[] = [];
  for (const [name, value] of Object.entries(parsed)) {
    if (name === "__metadata__") metadata = checkMetadata(value);
    else entries.push(checkEntry(name, value));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCoverage(entries, dataLength);
  return { entries, metadata };
}

function checkMetadata(value: unknown): Record<string, string> {
  if (!isObject(value)) throw corrupt(`__metadata__ must map text to text, got ${excerpt(value)}`);
  const metadata: Record<string, string> = {};
  for (const [key, text] of Object.entries(value)) {
    if (key === "__proto__") throw corrupt("__metadata__ has the reserved key __proto__");
    if (typeof text !== "string") {
      throw corrupt(`__metadata__ must map text to text, got ${excerpt(text)} for ${excerpt(key)}`);
    }
    metadata[key] = text;
  }
  return metadata;
}

function checkEntry(name: string, value: unknown): HeaderEntry {
  if (isReservedName(name)) throw corrupt(`the tensor name ${name} is reserved`);
  const where = `tensor ${excerpt(name)}`;
  if (!isObject(value)) throw corrupt(`${where} must be described by an object, got ${excerpt(value)}`);
  const { dtype, shape, data_offsets: offsets } = value;
  const arrayClass = typeof dtype === "string" ? ARRAY_CLASSES.get(dtype) : undefined;
  if (typeof dtype !== "string" || arrayClass === undefined) {
    throw corrupt(`${where} has the unknown dtype ${excerpt(dtype)}`);
  }
  if (!isNaturals(shape)) {
    throw corrupt(`${where} needs a shape of non-negative integers, got ${excerpt(shape)}`);
  }
  let length = 1;
  for (const size of shape) {
    length *= size;
    if (!Number.isSafeInteger(length)) throw corrupt(`${where} has too large a shape, got ${excerpt(shape)}`);
  }
  if (!isNaturals(offsets) || offsets.length !== 2) {
    throw corrupt(`${where} needs two non-negative integers as data_offsets, got ${excerpt(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  const width = arrayClass.BYTES_PER_ELEMENT;
  if (end < begin) throw corrupt(`${where} ends before it begins, got data_offsets [${begin}, ${end}]`);
  if (end - begin !== length * width) {
    const described = `${dtype} ${excerpt(shape)}`;
    throw corrupt(
      `${where}: ${described} takes ${length * width} bytes, but data_offsets span ${end - begin}`,
    );
  }
  return { name, dtype: dtype as Dtype, arrayClass, shape, length, begin, end };
}

/** The ranges must tile the data section: no overlap, no gap, nothing past its end, nothing left over. */
function checkCoverage(entries: readonly HeaderEntry[], dataLength: number): void {
  let covered = 0;
  let previous = "";
  for (const { name, begin, end } of entries) {
    if (begin < covered) {
      throw corrupt(`tensors ${excerpt(previous)} and ${excerpt(name)} overlap at byte ${begin}`);
    }
    if (begin > covered) {
      throw corrupt(`bytes ${covered} to ${begin} before tensor ${excerpt(name)} belong to no tensor`);
    }
    if (end > dataLength) {
      throw corrupt(
        `tensor ${excerpt(name)} ends at byte ${end}, but the file holds ${dataLength} bytes of data`,
      );
    }
    covered = end;
    previous = name;
  }
  if (covered !== dataLength) {
    throw corrupt(`bytes ${covered} to ${dataLength} at the end belong to no tensor`);
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    checkStructure(text);
    return JSON.parse(text);
  } catch (cause) {
    if (cause instanceof CorruptFileError) throw cause;
    throw corrupt("the header is not JSON in UTF-8", { cause });
  }
}

/**
 * Refuses repeated keys, of which `JSON.parse` would keep the last, so that two readers could see two different files;
 * and nesting beyond the format's, on which a hostile header could spend minutes of parsing. What is not JSON passes.
 */
function checkStructure(json: string): void {
  // The keys of each open object; an open array has none.
  const open: (Set<string> | undefined)[] = [];
  for (let i = 0; i < json.length; i++) {
    const c = json[i];
    if (c === "{" || c === "[") {
      if (open.length === 3 || (open.length > 0 && open.at(-1) === undefined)) {
        throw corrupt(`the header nests arrays or objects deeper than the format does, at character ${i}`);
      }
      open.push(c === "{" ? new Set() : undefined);
    } else if (c === "}" || c === "]") open.pop();
    else if (c === '"') {
      const start = i++;
      for (; i < json.length && json[i] !== '"'; i++) if (json[i] === "\\") i++;
      let next = i + 1;
      while (/\s/.test(json[next] ?? "")) next++;
      if (json[next] !== ":") continue;
      const key: string = JSON.parse(json.slice(start, i + 1));
      if (open.at(-1)?.has(key)) throw corrupt(`the header repeats the key ${excerpt(key)}`);
      open.at(-1)?.add(key);
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0 && !Object.is(n, -0));
}
