import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { type Compressors, parquetRead, type RowGroup } from "hyparquet";
import { compressors as library } from "hyparquet-compressors";
import type { Budget } from "./_budget.ts";
import type { Footer, ReadRange } from "./_footer.ts";
import { checkPageChecksums } from "./_page_checksums.ts";
import { type Leaf, unreadableType } from "./_schema.ts";

/** Options of {@linkcode readColumn}. */
export interface ReadColumnOptions {
  readonly footer: Footer;
  readonly read: ReadRange;
  readonly budget: Budget;
}

/**
 * One column of a row group, a value for each row: as JSON would have it, but for bytes, dates and whole numbers that only
 * a bigint can hold.
 *
 * @throws {Error} saying what is wrong with it.
 * @throws {DataLimitError} if the budget is exceeded.
 */
export async function readColumn(
  name: string,
  group: RowGroup,
  { footer, read, budget }: ReadColumnOptions,
): Promise<unknown[]> {
  const leaves = footer.columns.get(name)!;
  for (const leaf of leaves) {
    const { start, end, numValues } = locateChunk(leaf, group, footer);
    budget.hold(numValues * VALUE_BYTES);
    checkPageChecksums(read(start, end));
  }
  const values: unknown[] = [];
  await parquetRead({
    file: {
      byteLength: footer.dataEnd,
      slice: (start, end = footer.dataEnd) => read(start, end).buffer,
    },
    metadata: { ...footer.metadata, num_rows: group.num_rows, row_groups: [group] },
    columns: [name],
    compressors: within(budget),
    geoparquet: false,
    utf8: false,
    parsers: { stringFromBytes: decode, jsonFromBytes: decode },
    onChunk: ({ columnData }) => {
      for (const value of columnData) values.push(value);
    },
  });
  const numRows = Number(group.num_rows);
  if (values.length !== numRows) throw new Error(`it must have ${numRows} rows, got ${values.length}`);
  const depth = depthOf(leaves);
  return values.map((value) => plain(value, depth, budget));
}

/** How many lists are around each value of a column of plain lists, or of plain values; -1 if it has structures. */
function depthOf([leaf, ...others]: readonly Leaf[]): number {
  // A list is a group, its repeated group, and its items.
  const isPlain = others.length === 0 && leaf!.path.length === 1 + 2 * leaf!.depth;
  return isPlain ? leaf!.depth : -1;
}

/** Where a leaf's part of a row group is in the file. */
function locateChunk(leaf: Leaf, group: RowGroup, { dataEnd }: Footer) {
  const reason = unreadableType(leaf);
  if (reason !== undefined) throw new Error(`it has ${reason}, which aren't read`);
  const path = leaf.path.join("\0");
  const chunk = group.columns.find(({ meta_data: metadata }) => metadata?.path_in_schema.join("\0") === path);
  const metadata = chunk?.meta_data;
  if (chunk === undefined || metadata === undefined) throw new Error("a row group lacks it");
  if (chunk.file_path) throw new Error("its data are in another file");
  if (chunk.crypto_metadata) throw new Error("it is encrypted");
  const { type } = leaf.element;
  if (metadata.type !== type) throw new Error(`its schema says ${type}, a row group ${metadata.type}`);
  const start = Number(metadata.dictionary_page_offset || metadata.data_page_offset);
  const end = start + Number(metadata.total_compressed_size);
  if (!(start >= 4 && start <= end && end <= dataEnd)) {
    throw new Error(`its data must lie before byte ${dataEnd}, got bytes ${start} to ${end}`);
  }
  const numValues = Number(metadata.num_values);
  if (!(numValues >= 0) || leaf.depth === 0 && numValues !== Number(group.num_rows)) {
    throw new Error(`it must have ${group.num_rows} values, got ${numValues}`);
  }
  return { start, end, numValues };
}

/** The decompressors, which take what they unpack from a budget; Node's own ones check checksums. */
function within(budget: Budget): Compressors {
  const all: Compressors = {
    ...library,
    GZIP: (input, length) => gunzipSync(input, { maxOutputLength: length + 1 }),
    BROTLI: (input, length) => brotliDecompressSync(input, { maxOutputLength: length + 1 }),
  };
  return Object.fromEntries(
    Object.entries(all).map(([codec, decompress]) => [codec, (input: Uint8Array, length: number) => {
      budget.unpack(length);
      return decompress(input, length);
    }]),
  );
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new Error("a text isn't UTF-8", { cause });
  }
}

/** What values take in memory, about: a place in an array, and the head of a text, a list, an object. */
const [VALUE_BYTES, OBJECT_BYTES] = [8, 48];

/** @param depth of the value in lists, from that of a row down to 0 in the innermost list; negative if unknown. */
function plain(value: unknown, depth: number, budget: Budget): unknown {
  switch (typeof value) {
    case "undefined":
      // hyparquet gives null for a missing value, but undefined for a missing list or structure.
      if (depth === 0) throw new Error("its pages have fewer values than they claim");
      return null;
    case "string":
      budget.hold(OBJECT_BYTES + value.length);
      return value;
    case "bigint": {
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value;
    }
  }
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array || value instanceof Date) {
    budget.hold(2 * OBJECT_BYTES + (value instanceof Date ? 0 : value.length));
    return value;
  }
  if (Array.isArray(value)) {
    budget.hold(OBJECT_BYTES + VALUE_BYTES * value.length);
    return value.map((item) => plain(item, depth - 1, budget));
  }
  const entries = Object.entries(value);
  budget.hold(OBJECT_BYTES + VALUE_BYTES * entries.length);
  return Object.fromEntries(entries.map(([key, inner]) => [key, plain(inner, depth, budget)]));
}
