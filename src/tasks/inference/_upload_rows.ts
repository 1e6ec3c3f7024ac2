import { type Gpu, sizeOf, type Tensor, tensor } from "../../engine/mod.ts";
import type { ColumnData, Inputs } from "../../models/mod.ts";
import { mapColumns, zerosAs } from "../columns.ts";
import { placeRows } from "../row_layout.ts";
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

/** What a model reads of some rows, without padding as far as their layout leaves it out. */
export function uploadInputs(
  gpu: Gpu,
  { inputs }: TaskSet,
  { rows, tokens, layout }: EvaluationRows,
): Inputs {
  const { length, rows: packed } = layout;
  const uploaded = mapColumns(
    inputs,
    ({ data, shape, perToken }) =>
      uploadRows(gpu, data, { rows, shape, length: perToken ? length : undefined }),
  );
  if (packed === undefined) return uploaded;
  const { rowTokens, tokenRows, rowPositions } = placeRows([tokens!], { length, rows: packed });
  return {
    ...uploaded,
    rowTokens: tensor(gpu, rowTokens),
    tokenRows: tensor(gpu, tokenRows, { shape: [rows.length, length] }),
    rowPositions: tensor(gpu, rowPositions),
  };
}
