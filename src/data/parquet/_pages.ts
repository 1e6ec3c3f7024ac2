import { crc32 } from "node:zlib";
import type { ColumnMetaData } from "hyparquet";
import { DataLimitError } from "../errors.ts";
import type { Decompressor } from "./_decompress.ts";
import { checkRuns } from "./_runs.ts";
import type { Leaf } from "./_schema.ts";
import { readThrift, type ThriftStruct } from "./_thrift.ts";

/** What is left of the bytes that a file's pages may take. */
export interface PageBudget {
  /** Unpacked. */
  unpacked: number;
  /** As values in memory, about. */
  memory: number;
}

/**
 * Takes bytes from a budget.
 *
 * @throws {DataLimitError} if there are too few.
 */
export function spend(budget: PageBudget, kind: keyof PageBudget, bytes: number): void {
  if ((budget[kind] -= bytes) >= 0) return;
  throw new DataLimitError(
    kind === "unpacked"
      ? "it is larger than maxBytes when it is unpacked"
      : "its values would take more memory than maxBytes allows",
  );
}

/** A column's part of a row group. */
export interface Chunk {
  readonly leaf: Leaf;
  readonly metadata: ColumnMetaData;
  readonly bytes: Uint8Array;
  readonly numRows: number;
}

/** Options of {@linkcode checkPages}. */
export interface CheckPagesOptions {
  readonly decompress: Decompressor;
  readonly budget: PageBudget;
}

const [DATA, INDEX, DICTIONARY, DATA_V2] = [0, 1, 2, 3];
const [PLAIN, PLAIN_DICTIONARY, RLE, DELTA, DELTA_LENGTH, RLE_DICTIONARY, SPLIT] = [0, 2, 3, 5, 6, 8, 9];

/**
 * Walks the pages of a column's part of a row group and checks what a trusting reader would act on: that pages lie in
 * the file, that levels, runs and values are as many as announced and inside of their page, and that all of them
 * together keep within the budget.
 *
 * @throws {Error} saying what is wrong.
 * @throws {DataLimitError} if the budget is exceeded.
 */
export function checkPages(chunk: Chunk, { decompress, budget }: CheckPagesOptions): void {
  const { bytes, leaf, metadata, numRows } = chunk;
  const numValues = Number(metadata.num_values);
  if (!(numValues >= 0) || leaf.maxRepetition === 0 && numValues !== numRows) {
    throw new Error(`it must have ${numRows} values, got ${metadata.num_values}`);
  }
  spend(budget, "memory", numValues * 8);
  let dictionary: number | undefined;
  let seen = 0;
  // The library stops looking for a page one byte before the end.
  for (let offset = 0; offset < bytes.length - 1;) {
    const { value: header, end } = readThrift(bytes, offset, { maxValues: 200, maxBinary: bytes.length });
    const [type, unpacked, packed] = [natural(header[1]), natural(header[2]), natural(header[3])];
    if (packed > bytes.length - end) throw new Error(`a page of ${packed} bytes ends outside of the column`);
    spend(budget, "unpacked", unpacked);
    const page = bytes.subarray(end, offset = end + packed);
    if (typeof header[4] === "number" && crc32(page) !== header[4] >>> 0) {
      throw new Error("a page doesn't agree with its checksum");
    }
    switch (type) {
      case DATA: {
        seen += checkDataPage(decompress(page, unpacked), struct(header[5]), {
          ...chunk,
          budget,
          dictionary,
        });
        break;
      }
      case DATA_V2: {
        seen += checkDataPageV2(page, struct(header[8]), {
          ...chunk,
          budget,
          dictionary,
          decompress,
          unpacked,
        });
        break;
      }
      case DICTIONARY: {
        dictionary = natural(struct(header[7])[1]);
        checkPlain(decompress(page, unpacked), { leaf, count: dictionary });
        break;
      }
      case INDEX:
        throw new Error("it has a page of an index among its data");
      default:
        throw new Error(`it has a page of the unknown type ${type}`);
    }
  }
  if (seen !== numValues) throw new Error(`its pages hold ${seen} values, expected ${numValues}`);
}

interface PageContext {
  readonly leaf: Leaf;
  readonly budget: PageBudget;
  /** Values of the dictionary, if there is one so far. */
  readonly dictionary: number | undefined;
}

/** Checks a page and gives the number of its values, empty places among them. */
function checkDataPage(page: Uint8Array, header: ThriftStruct, context: PageContext): number {
  const { maxRepetition, maxDefinition } = context.leaf;
  const [count, encoding] = [natural(header[1]), natural(header[2])];
  let rest = page;
  const levels = (encoding: unknown): Uint8Array => {
    if (natural(encoding) !== RLE) throw new Error("levels of a page aren't in runs");
    const length = rest.length < 4 ? Infinity : new DataView(rest.buffer, rest.byteOffset).getUint32(0, true);
    if (length > rest.length - 4) throw new Error("levels of a page end outside of it");
    const bytes = rest.subarray(4, 4 + length);
    rest = rest.subarray(4 + length);
    return bytes;
  };
  if (maxRepetition > 0) checkRepetition(levels(header[4]), count, context);
  const present = maxDefinition === 0 ? count : countPresent(levels(header[3]), count, context.leaf);
  checkValues(rest, { ...context, encoding, count: present, runsAlways: false });
  return count;
}

interface PageContextV2 extends PageContext {
  readonly decompress: Decompressor;
  readonly unpacked: number;
}

/** The second form of a page: its levels aren't compressed, and their lengths stand in its header. */
function checkDataPageV2(page: Uint8Array, header: ThriftStruct, context: PageContextV2): number {
  const { decompress, leaf, unpacked } = context;
  const [count, numNulls, encoding] = [natural(header[1]), natural(header[2]), natural(header[4])];
  const repetition = natural(header[6]);
  const levels = natural(header[5]) + repetition;
  if (levels > page.length || levels > unpacked) throw new Error("levels of a page end outside of it");
  if (leaf.maxRepetition > 0) checkRepetition(page.subarray(0, repetition), count, context);
  const present = leaf.maxDefinition === 0
    ? count
    : countPresent(page.subarray(repetition, levels), count, leaf);
  if (count - present !== numNulls) {
    throw new Error(`a page has ${count - present} empty places, expected ${numNulls}`);
  }
  const rest = page.subarray(levels);
  const values = header[7] === false ? rest : decompress(rest, unpacked - levels);
  checkValues(values, { ...context, encoding, count: present, runsAlways: true });
  return count;
}

/** What an array of a few values takes in memory. */
const ARRAY_BYTES = 184;

/** Checks the levels that tell where lists begin, and takes account of the lists. */
function checkRepetition(levels: Uint8Array, count: number, { leaf, budget }: PageContext): void {
  const { maxRepetition, maxDefinition } = leaf;
  const continued = checkRuns(levels, {
    width: bitWidth(maxRepetition),
    count,
    counted: maxRepetition,
    below: maxRepetition + 1,
  });
  spend(budget, "memory", (count - continued) * maxDefinition * ARRAY_BYTES);
}

/** Checks the levels that tell which places are empty, and counts the others. */
function countPresent(levels: Uint8Array, count: number, { maxDefinition }: Leaf): number {
  return checkRuns(levels, {
    width: bitWidth(maxDefinition),
    count,
    counted: maxDefinition,
    below: maxDefinition + 1,
  });
}

interface ValuesOptions extends PageContext {
  readonly encoding: number;
  readonly count: number;
  /** Whether numbers of a dictionary that take no bits are in runs, too. */
  readonly runsAlways: boolean;
}

/** Checks that the values of a page are in it, and in the dictionary. */
function checkValues(
  page: Uint8Array,
  { leaf, encoding, count, dictionary, runsAlways }: ValuesOptions,
): void {
  const width = widthOf(leaf);
  switch (encoding) {
    case PLAIN:
      return checkPlain(page, { leaf, count });
    case PLAIN_DICTIONARY:
    case RLE_DICTIONARY: {
      if (dictionary === undefined) throw new Error("a page refers to a dictionary that isn't there");
      if (count > 0 && dictionary === 0) throw new Error("a page refers to an empty dictionary");
      const bits = page[0];
      if (bits === undefined) throw new Error("a page ends before its values");
      const isRead = bits > 0 || runsAlways;
      checkRuns(page.subarray(1), { width: bits, count: isRead ? count : 0, below: dictionary });
      return;
    }
    case RLE:
      if (leaf.element.type !== "BOOLEAN") break;
      checkRuns(page.subarray(4), { width: 1, count });
      return;
    case DELTA:
      if (width === undefined) break;
      return checkDelta(page);
    case DELTA_LENGTH:
      return checkDelta(page);
    case SPLIT:
      if (width !== undefined && width * count <= page.length) return;
      throw new Error(`a page is too short for its ${count} values`);
  }
  throw new Error(
    `its values are in encoding ${encoding}, which isn't read; write the file with plain or dictionary ones`,
  );
}

/** Values one after the other, texts with their length in front. */
function checkPlain(page: Uint8Array, { leaf, count }: { leaf: Leaf; count: number }): void {
  const width = widthOf(leaf);
  if (width !== undefined) {
    if (Math.ceil(width * count) <= page.length) return;
    throw new Error(`a page is too short for its ${count} values`);
  }
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  let offset = 0;
  for (let i = 0; i < count; i++) {
    if (offset + 4 > page.length) throw new Error(`a page ends after ${i} of its ${count} values`);
    offset += 4 + view.getUint32(offset, true);
    if (offset > page.length) throw new Error("a text ends outside of its page");
  }
}

/** The head of numbers that are stored as differences: sizes that a reader makes room for. */
function checkDelta(page: Uint8Array): void {
  let offset = 0;
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < 5; i++) {
      const byte = page[offset++];
      if (byte === undefined) throw new Error("a page ends inside of its values");
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw new Error("differences of a page are in blocks of impossible size");
  };
  const [block, parts] = [varint(), varint()];
  if (block === 0 || block % 128 !== 0 || block > 2 ** 16 || parts === 0 || block % (32 * parts) !== 0) {
    throw new Error(`differences of a page are in blocks of impossible size, ${block} in ${parts} parts`);
  }
}

/** Bytes of a value, if all have the same. */
function widthOf({ element: { type, type_length: length } }: Leaf): number | undefined {
  switch (type) {
    case "BOOLEAN":
      return 1 / 8;
    case "INT32":
    case "FLOAT":
      return 4;
    case "INT64":
    case "DOUBLE":
      return 8;
    case "INT96":
      return 12;
    case "FIXED_LEN_BYTE_ARRAY":
      return length;
    default:
      return undefined;
  }
}

function bitWidth(max: number): number {
  return 32 - Math.clz32(max);
}

function natural(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`a page's header lacks a number, got ${typeof value === "number" ? value : typeof value}`);
}

function struct(value: unknown): ThriftStruct {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as ThriftStruct;
  throw new Error("a page's header lacks a part");
}
