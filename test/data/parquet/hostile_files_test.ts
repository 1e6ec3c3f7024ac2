import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { readParquet } from "../../../src/data/parquet/read_parquet.ts";
import { varint, withFooter, writeColumn } from "./write_column.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);
const LIMITS = { maxBytes: 4 << 20, maxRows: 100_000 };

let path: string;
before(async () => {
  path = join(await mkdtemp(join(tmpdir(), "federa-hostile-")), "file.parquet");
});
after(() => rm(join(path, ".."), { recursive: true }));

async function read(file: Uint8Array): Promise<unknown[]> {
  await writeFile(path, file);
  const values = [];
  for await (const rows of readParquet(path, LIMITS)) for (const { a } of rows) values.push(a);
  return values;
}

async function refuses(file: Uint8Array, name: string, message: RegExp): Promise<void> {
  const before = process.memoryUsage.rss();
  await assert.rejects(read(file), (error: Error) => {
    assert.equal(error.name, name, String(error));
    assert.match(error.message, message);
    return true;
  });
  const grown = process.memoryUsage.rss() - before;
  assert.ok(grown < 100 << 20, `this process grew by ${grown} bytes`);
  assert.deepEqual(await read(writeColumn(good)), [7, 8], "another file is read after it");
}

const good = { page: { bytes: bytes(7, 0, 0, 0, 8, 0, 0, 0) }, numRows: 2 };
const TOO_MUCH = /column a: its values would take more memory than maxBytes allows$/;

describe("readParquet()", () => {
  it("readParquet() reads what the writer of these files writes", async () => {
    assert.deepEqual(await read(writeColumn(good)), [7, 8]);
    // Levels 1, 0, 1 in three runs, then two texts.
    const page = { bytes: bytes(6, 0, 0, 0, 2, 1, 2, 0, 2, 1, 1, 0, 0, 0, 120, 1, 0, 0, 0, 121) };
    const texts = await read(writeColumn({ page, numRows: 3, type: 6, repetition: 1 }));
    assert.deepEqual(texts.map((text) => text === null ? null : String.fromCharCode(...text as Uint8Array)), [
      "x",
      null,
      "y",
    ]);
  });

  it("readParquet() survives a run of a billion levels", async () => {
    const run = [...varint(2 * (2 ** 30 - 1)), 1];
    const page = { bytes: bytes(run.length, 0, 0, 0, ...run, 7, 0, 0, 0) };
    await refuses(writeColumn({ page, numRows: 1, repetition: 1 }), "DataLimitError", TOO_MUCH);
  });

  it("readParquet() survives two billion differences in no bits", async () => {
    // Blocks of 2^30 values in one part, of which the first is 0 and the others differ by 0 in 0 bits.
    const block = [...varint(2 ** 30), 1, ...varint(2 ** 30), 0, 0, 0, 0, 0, 0];
    const page = { bytes: bytes(...block), numValues: 2 ** 30, encoding: 5 };
    await refuses(writeColumn({ page, numRows: 1 }), "DataLimitError", TOO_MUCH);
  });

  it("readParquet() survives texts that each repeat the one before", async () => {
    // Prefixes of 0, 1, 2, … bytes, then suffixes of one byte: half a terabyte from a megabyte.
    const count = 1_000_000;
    const steady = (first: number, step: number) => {
      const blocks = Array.from({ length: Math.ceil((count - 1) / 128) }, () => [2 * step, 0, 0, 0, 0]);
      return [...varint(128), 4, ...varint(count), 2 * first, ...blocks.flat()];
    };
    const data = Uint8Array.from([...steady(0, 1), ...steady(1, 0), ...new Array(count).fill(97)]);
    const page = { bytes: data, numValues: count, encoding: 7 };
    await refuses(writeColumn({ page, numRows: count / 10, type: 6 }), "DataLimitError", TOO_MUCH);
  });

  it("readParquet() survives a page of zstd that goes on for hours", async () => {
    // One block of 98,047 sequences, each of which copies 65 kB at least, and takes no bits at all.
    const block = [0x00, 0xff, 0xff, 0xff, 0x54, 0x00, 0x00, 0x34, 0x01];
    const frame = [0x28, 0xb5, 0x2f, 0xfd, 0x60, 0x00, 0x03, block.length << 3 | 5, 0, 0, ...block];
    const page = { bytes: Uint8Array.from(frame), unpackedSize: 1024 };
    await refuses(
      writeColumn({ page, numRows: 256, codec: 6 }),
      "DataLimitError",
      /column a: (reading it takes longer than its size allows|its values would take more memory)/,
    );
  });

  it("readParquet() refuses pages that unpack to other lengths than they claim", async () => {
    const text = new Uint8Array(1 << 20);
    for (const [codec, packed] of [[2, gzipSync(text)], [4, brotliCompressSync(text)]] as const) {
      const sized = (unpackedSize: number) =>
        writeColumn({ page: { bytes: packed, unpackedSize }, numRows: 10, codec });
      await refuses(sized(40), "CorruptFileError", /column a: /);
      await refuses(sized(2 << 20), "CorruptFileError", /column a: .*1048576/);
      await refuses(sized(2 ** 31 - 1), "DataLimitError", /larger than maxBytes when it is unpacked$/);
    }
  });

  it("readParquet() refuses footers that a trusting reader would spend hours or gigabytes on", async () => {
    // A number of three million digits, to each of which all before are added.
    const digits = new Uint8Array(3_000_000).fill(0xff).fill(0x16, 0, 1);
    await refuses(
      withFooter(bytes(0), digits),
      "DataLimitError",
      /: reading it takes longer than its size allows$/,
    );
    const damaged = [
      bytes(0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x07),
      new Uint8Array(100_000).fill(0x1c),
      bytes(0x15),
    ];
    for (const footer of damaged) {
      await refuses(
        withFooter(bytes(0), footer),
        "CorruptFileError",
        /Cannot read .*\.parquet: it is damaged \(.+\)$/,
      );
    }
  });
});
