import source from "../../../shaders/compression/int8.wgsl";
import { Kernel } from "../../gpu/kernel.ts";
import { empty, int8Layout, type Tensor } from "../../tensor.ts";
import { checkOperands, launch } from "../launch.ts";
import { rowMaxima } from "./quantize.ts";

const toInt8Kernel = new Kernel({
  name: "to_int8",
  source,
  entry: "to_int8",
  bindings: ["read", "read", "write"],
});
const fromInt8Kernel = new Kernel({
  name: "from_int8",
  source,
  entry: "from_int8",
  bindings: ["read", "write"],
});

/**
 * A copy in 8 bits: each row (last axis) as whole numbers q from −127 to 127 and an f32 scale s, w ≈ q·s. It takes a quarter of
 * the memory, and four bytes a row. The scale is the row's largest magnitude divided by 127 (at least 2⁻¹²⁶), q the nearest whole
 * number to w/s, so that |w − q·s| ≤ s/2. Every adapter gives the same bits. A row with NaN or infinity becomes NaN. No
 * gradient goes through it.
 */
export function toInt8(x: Tensor): Tensor {
  checkOperands("round to 8 bits", [x]);
  const stored = empty(x.gpu, x.shape, "int8");
  const { rows, words } = int8Layout(x.shape);
  const columns = x.shape.at(-1) ?? 1;
  using maxima = rowMaxima(x, { rows, columns });
  launch(toInt8Kernel, { tensors: [x, maxima, stored], params: [rows, columns], threads: rows * words });
  return stored;
}

/** The values q·s of a tensor in 8 bits, in f32. */
export function fromInt8(x: Tensor): Tensor {
  const floats = empty(x.gpu, x.shape);
  const { rows, words } = int8Layout(x.shape);
  launch(fromInt8Kernel, {
    tensors: [x, floats],
    params: [rows, x.shape.at(-1) ?? 1],
    threads: rows * words,
  });
  return floats;
}
