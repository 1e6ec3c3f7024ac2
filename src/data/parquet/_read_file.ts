import { readSync } from "node:fs";
import { open } from "node:fs/promises";
import { DataLimitError } from "../errors.ts";
import { type Budget } from "./_budget.ts";
import { readClassNames } from "./_class_names.ts";
import { readColumn } from "./_column.ts";
import { readFooter, type ReadRange } from "./_footer.ts";
import type { ReadMessage, ReadRequest } from "./_messages.ts";

/** What a row takes in memory beside its values. */
const ROW_BYTES = 56;

/** Most values of a message. */
const SLICE = 4096;

/**
 * The contents of a Parquet file, a column of a row group at a time.
 *
 * @throws {Error} naming the column and what is wrong.
 * @throws {DataLimitError} naming the limit that the file exceeds.
 */
export async function* readFile(request: ReadRequest, budget: Budget): AsyncGenerator<ReadMessage> {
  const { path, maxRows } = request;
  const file = await open(path, "r");
  try {
    const read: ReadRange = (start, end) => readExactly(file.fd, start, end);
    const footer = readFooter((await file.stat()).size, read);
    const { metadata, columns } = footer;
    const classNames = readClassNames(metadata.key_value_metadata);
    yield { kind: "info", info: { columns: [...columns.keys()], classNames } };
    if (metadata.num_rows > maxRows) {
      throw new DataLimitError(`there may be ${maxRows} rows (maxRows), got ${metadata.num_rows}`);
    }
    budget.hold(Number(metadata.num_rows) * ROW_BYTES);
    const names = [...columns.keys()].filter((name) => request.columns?.includes(name) ?? true);
    for (const group of metadata.row_groups) {
      yield { kind: "group", names, numRows: Number(group.num_rows) };
      for (const name of names) {
        yield { kind: "column", name };
        const values = await readColumn(name, group, { footer, read, budget });
        for (let i = 0; i < values.length; i += SLICE) {
          yield { kind: "values", values: values.slice(i, i + SLICE) };
        }
      }
    }
  } finally {
    await file.close();
  }
}

function readExactly(file: number, start: number, end: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(end - start);
  for (let done = 0; done < bytes.length;) {
    const count = readSync(file, bytes, done, bytes.length - done, start + done);
    if (count === 0) throw new Error(`it ends at byte ${start + done}`);
    done += count;
  }
  return bytes;
}
