import assert from "node:assert/strict";
import { copyFile, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import {
  type ParquetInfo,
  readParquet,
  type ReadParquetOptions,
} from "../../../src/data/parquet/read_parquet.ts";
import { temporaryFolder } from "../../support/temporary_files.ts";

const golden = (name: string) => fileURLToPath(new URL(`../../golden/data/${name}`, import.meta.url));
const expected = JSON.parse(await readFile(golden("expected.json"), "utf8"));
const LIMITS = { maxBytes: 1 << 24, maxRows: 10_000 };

const folder = temporaryFolder();

async function rowsOf(path: string, options: Partial<ReadParquetOptions> = {}) {
  const rows: Record<string, unknown>[] = [];
  for await (const group of readParquet(path, { ...LIMITS, ...options })) {
    for (const row of group) rows.push(row);
  }
  return rows;
}

/** A value as the golden file spells it. */
function spelt(value: unknown): unknown {
  if (typeof value === "bigint") return { bigint: String(value) };
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (value instanceof Date) return { time: value.toISOString() };
  if (Array.isArray(value)) return value.map(spelt);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, spelt(inner)]));
}

describe("readParquet()", () => {
  for (
    const name of ["texts_snappy", "tokens_gzip", "questions_zstd", "types_plain", "nested_v1", "nested_v2"]
  ) {
    it(`readParquet() reads what pyarrow reads in ${name}.parquet`, async () => {
      assert.deepEqual(spelt(await rowsOf(golden(`${name}.parquet`))), expected[`${name}.parquet`]);
    });
  }

  for (const name of ["encodings_brotli", "dictionary_lz4"]) {
    it(`readParquet() reads what pyarrow reads in the many pages of ${name}.parquet`, async () => {
      const rows = await rowsOf(golden(`${name}.parquet`));
      const { numRows, some } = expected[`${name}.parquet`];
      assert.equal(rows.length, numRows);
      assert.deepEqual(Object.fromEntries(Object.keys(some).map((i) => [i, rows[Number(i)]])), some);
    });
  }

  it("readParquet() tells the columns and the names of their classes, and reads what it is asked for", async () => {
    const infos: ParquetInfo[] = [];
    const onInfo = (info: ParquetInfo) => infos.push(info);
    const rows = await rowsOf(golden("texts_snappy.parquet"), { columns: ["label", "absent"], onInfo });
    assert.deepEqual(rows[0], { label: 1 });
    await rowsOf(golden("tokens_gzip.parquet"), { onInfo });
    await rowsOf(golden("types_plain.parquet"), { onInfo });
    assert.deepEqual(infos[0]!.columns, ["text", "label", "id"]);
    assert.deepEqual(infos.map(({ classNames }) => Object.fromEntries(classNames)), [
      { label: ["negative", "positive"] },
      { ner_tags: ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC"], old_tags: ["X", "Y"] },
      {},
    ]);
  });

  it("readParquet() refuses what isn't whole, and what is larger than it may be", async () => {
    const path = join(folder, "broken.parquet");
    const refuses = async (message: RegExp, options = {}, name = "CorruptFileError") => {
      await assert.rejects(rowsOf(path, options), (error: Error) => {
        assert.equal(error.name, name, String(error));
        assert.ok(error.message.startsWith(`Cannot read ${path}: `), error.message);
        assert.match(error.message, message);
        return true;
      });
    };
    await writeFile(path, "");
    await refuses(/at least 12 bytes, got 0$/);
    await writeFile(path, "PAR1 and more, PAR2");
    await refuses(/begins and ends with PAR1$/);
    await writeFile(path, "PAR1\xff\xff\xff\x7fPAR1", "latin1");
    await refuses(/footer claims 2147483647 of the file's 12 bytes$/);
    await writeFile(path, "PAR1\0\0\0\0PARE", "latin1");
    await refuses(/it is encrypted$/);
    await copyFile(golden("types_plain.parquet"), path);
    const bytes = await readFile(path);
    // Pages of this file have checksums: another number is seen.
    bytes[bytes.indexOf(new Uint8Array(Float64Array.of(1e300).buffer))]! ^= 1;
    await writeFile(path, bytes);
    await refuses(/column double: a page doesn't match its checksum$/);
    await truncate(path, 1000);
    await refuses(/begins and ends/);

    await copyFile(golden("encodings_brotli.parquet"), path);
    await refuses(/maxBytes\), got 7208$/, { maxBytes: 7000 }, "DataLimitError");
    await refuses(/2000$/, { maxRows: 1999 }, "DataLimitError");
    await refuses(/column .*: it is larger than maxBytes/, { maxBytes: 7300 }, "DataLimitError");
    await copyFile(golden("bomb.parquet"), path);
    const many = { maxRows: 1e7 };
    await refuses(/values would take more memory than maxBytes allows/, many, "DataLimitError");
    await refuses(/column list: its values would take/, { ...many, maxBytes: 1 << 27 }, "DataLimitError");
    await assert.rejects(rowsOf(join(folder, "absent")), { code: "ENOENT" });
    const reason = new Error("enough");
    await assert.rejects(rowsOf(path, { signal: AbortSignal.abort(reason) }), reason);
  });
});
