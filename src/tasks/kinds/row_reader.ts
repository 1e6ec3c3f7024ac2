import { NonFiniteError } from "../../engine/mod.ts";
import type { OutputReader } from "../output_reader.ts";
import type { TaskSet } from "../task_set.ts";

/** How a {@linkcode rowReader} reads. */
export interface RowReaderOptions<Row, Result> {
  /** Outputs K of a row, or of a token. */
  readonly width: number;
  /** Whether every token has outputs of its own. */
  readonly perToken: boolean;
  /** What is kept of a row's outputs, which it must not hold on to. */
  read(outputs: Float32Array, row: number): Row;
  /** The result, given what was kept of every row in the order of rows. */
  finish(rows: readonly Row[]): Result;
}

/** A reader that keeps something of each row of a set. */
export function rowReader<Row, Result>(
  { size, length }: Pick<TaskSet, "size" | "length">,
  { width, perToken, read, finish }: RowReaderOptions<Row, Result>,
): OutputReader<Result> {
  const rows = new Array<Row>(size);
  const seen = new Uint8Array(size);
  const check = (row: number, outputs: Float32Array) => {
    if (!(row in seen) || seen[row] === 1) {
      throw new RangeError(
        `Cannot read outputs: expected each of ${size} rows once, got row ${row}${
          row in seen ? " again" : ""
        }`,
      );
    }
    const fits = perToken
      ? outputs.length % width === 0 && outputs.length <= length * width
      : outputs.length === width;
    if (!fits) {
      throw new TypeError(
        `Cannot read outputs of row ${row}: expected ${width}${
          perToken ? ` for each of up to ${length} tokens` : ""
        }, got ${outputs.length}`,
      );
    }
    const bad = outputs.find((value) => !Number.isFinite(value));
    if (bad !== undefined) {
      throw new NonFiniteError(`Cannot read outputs: row ${row} must be finite, got ${bad}`);
    }
  };
  return {
    add(row, outputs) {
      check(row, outputs);
      seen[row] = 1;
      rows[row] = read(outputs, row);
    },
    finish() {
      const missing = seen.indexOf(0);
      if (missing >= 0) {
        throw new RangeError(`Cannot read outputs: expected each of ${size} rows, row ${missing} is missing`);
      }
      return finish(rows);
    },
  };
}
