import source from "../../../shaders/matmul/pad_rows.wgsl";
import { f32Bits } from "../../gpu/device.ts";
import { Kernel } from "../../gpu/kernel.ts";
import { empty } from "../../tensor.ts";
import type { MatrixView } from "./gemm.ts";
import { launch } from "../launch.ts";

const kernel = new Kernel({ name: "pad_rows", source, bindings: ["read", "write"] });

/** Options of {@linkcode padRows}. */
export interface PadRowsOptions {
  readonly rows: number;
  /** Elements of a row. */
  readonly width: number;
  /** The value to put after them. */
  readonly value: number;
}

/** A copy of one f32 matrix whose rows are a multiple of four elements apart; the caller disposes the tensor. */
export function padRows(
  { tensor, offset = 0, row }: MatrixView,
  { rows, width, value }: PadRowsOptions,
): MatrixView {
  const quads = Math.ceil(width / 4);
  const target = empty(tensor.gpu, [rows, 4 * quads]);
  launch(kernel, {
    tensors: [tensor, target],
    params: [rows, width, quads, row, offset, f32Bits(value)],
    threads: rows * quads,
  });
  return { tensor: target, row: 4 * quads, padded: true };
}
