import { type Gpu, sizeOf, type Tensor, tensor } from "../../engine/mod.ts";
import type { ColumnData, Inputs } from "../../models/mod.ts";
import { mapColumns, zerosAs } from "../columns.ts";
import type { TaskSet } from "../task_set.ts";
import type { EvaluationRows } from "./evaluation_plan.ts";

/** Options of {@linkcode uploadRows}. */
export interface UploadRowsOptions {
  readonly rows: readonly number[];
  /** Of one row. */
  readonly shape: readonly number[];
  /** How many of the first axis of a row are kept; all by default. */
  readonly length?: number | undefined;
}

/** Uploads some rows of a column, without what is beyond a length. */
export function uploadRows(gpu: Gpu, data: ColumnData, { rows, shape, length }: UploadRowsOptions): Tensor {
  const ofRow = length === undefined ? shape : [length, ...shape.slice(1)];
  const [width, kept] = [sizeOf(shape), sizeOf(ofRow)];
  const values = zerosAs(data, rows.length * kept);
  rows.forEach((row, i) => values.set(data.subarray(row * width, row * width + kept), i * kept));
  return tensor(gpu, values, { shape: [rows.length, ...ofRow] });
}

/** What a model reads of some rows, without the padding beyond a length. */
export function uploadInputs(gpu: Gpu, { inputs }: TaskSet, { rows, length }: EvaluationRows): Inputs {
  return mapColumns(
    inputs,
    ({ data, shape, perToken }) =>
      uploadRows(gpu, data, { rows, shape, length: perToken ? length : undefined }),
  );
}
