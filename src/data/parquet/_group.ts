import { type ColumnChunk, type FileMetaData, parquetRead, type RowGroup } from "hyparquet";
import type { Decompressor } from "./_decompress.ts";
import type { Footer, ReadRange } from "./_footer.ts";
import { checkPages, type PageBudget } from "./_pages.ts";
import { type Leaf, unreadableType } from "./_schema.ts";

/** Options of {@linkcode readColumn}. */
export interface ReadColumnOptions {
  readonly footer: Footer;
  readonly read: ReadRange;
  readonly decompressors: Readonly<Record<string, Decompressor>>;
  readonly budget: PageBudget;
}

/**
 * One column of a row group, a value for each row.
 *
 * @throws {Error} saying what is wrong with it.
 * @throws {DataLimitError} if the budget is exceeded.
 */
export async function readColumn(
  name: string,
  group: RowGroup,
  options: ReadColumnOptions,
): Promise<unknown[]> {
  const { footer, decompressors } = options;
  const chunks = footer.columns.get(name)!.map((leaf) => loadChunk(leaf, group, options));
  const values: unknown[] = [];
  await parquetRead({
    // What has been checked, and nothing else of the file.
    file: { byteLength: footer.dataEnd, slice: (start, end = footer.dataEnd) => sliceOf(chunks, start, end) },
    metadata: metadataOf(name, { ...group, columns: chunks.map(({ chunk }) => chunk) }, footer.metadata),
    columns: [name],
    compressors: decompressors,
    geoparquet: false,
    utf8: false,
    parsers: { stringFromBytes: decode, jsonFromBytes: decode },
    onChunk: ({ columnData }) => {
      for (const value of columnData) values.push(plain(value));
    },
  });
  const numRows = Number(group.num_rows);
  if (values.length !== numRows) throw new Error(`it must have ${numRows} rows, got ${values.length}`);
  return values;
}

interface LoadedChunk {
  readonly chunk: ColumnChunk;
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** Reads and checks a leaf's part of a row group. */
function loadChunk(leaf: Leaf, group: RowGroup, options: ReadColumnOptions): LoadedChunk {
  const { footer, read, decompressors, budget } = options;
  const reason = unreadableType(leaf);
  if (reason !== undefined) throw new Error(`it has ${reason}, which aren't read`);
  const path = leaf.path.join("\0");
  const chunk = group.columns.find(({ meta_data: metadata }) => metadata?.path_in_schema.join("\0") === path);
  const metadata = chunk?.meta_data;
  if (chunk === undefined || metadata === undefined) throw new Error("a row group lacks it");
  if (chunk.file_path) throw new Error("its data are in another file");
  if (chunk.crypto_metadata) throw new Error("it is encrypted");
  const { type } = leaf.element;
  if (metadata.type !== type) throw new Error(`it is of type ${type} and ${metadata.type}`);
  const decompress = decompressors[metadata.codec];
  if (decompress === undefined) throw new Error(`its compression ${metadata.codec} isn't read`);
  const start = Number(metadata.dictionary_page_offset || metadata.data_page_offset);
  const end = start + Number(metadata.total_compressed_size);
  if (!(start >= 4 && start <= end && end <= footer.dataEnd)) {
    throw new Error(`its data are in bytes ${start} to ${end} of ${footer.dataEnd}`);
  }
  const bytes = read(start, end);
  checkPages({ bytes, leaf, metadata, numRows: Number(group.num_rows) }, { decompress, budget });
  return { chunk, start, bytes };
}

/** A range of the file, of which only the chunks are looked at. */
function sliceOf(chunks: readonly LoadedChunk[], start: number, end: number): ArrayBuffer {
  const range = new Uint8Array(end - start);
  for (const chunk of chunks) {
    const [from, to] = [Math.max(start, chunk.start), Math.min(end, chunk.start + chunk.bytes.length)];
    if (from < to) range.set(chunk.bytes.subarray(from - chunk.start, to - chunk.start), from - start);
  }
  return range.buffer;
}

/** Metadata of a file that has the one column and row group. */
function metadataOf(name: string, group: RowGroup, metadata: FileMetaData): FileMetaData {
  const [root, ...elements] = metadata.schema;
  let begin = 0;
  const sizeFrom = (at: number): number => {
    let size = 1;
    for (let i = elements[at]!.num_children ?? 0; i > 0; i--) size += sizeFrom(at + size);
    return size;
  };
  while (elements[begin]!.name !== name) begin += sizeFrom(begin);
  const schema = [{ ...root!, num_children: 1 }, ...elements.slice(begin, begin + sizeFrom(begin))];
  return { ...metadata, schema, num_rows: group.num_rows, row_groups: [group] };
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

/** A value as JSON would have it, but for bytes, dates and numbers that only a bigint can hold. */
function plain(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  if (typeof value !== "object" || value === null || value instanceof Date || value instanceof Uint8Array) {
    return value;
  }
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}
