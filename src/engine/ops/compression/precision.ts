import { type Precision, type Tensor, tensor } from "../../tensor.ts";
import { fromHalf, toHalf } from "./half.ts";
import { fromInt8, toInt8 } from "./int8.ts";
import { checkOperands } from "../launch.ts";

/**
 * An f32 tensor as it is stored in a precision: a copy, or another handle on the same elements in f32. The weight of `linear` and
 * the table of `embedding` may be in any precision; sums stay in f32. No gradient goes through it. {@linkcode toHalf} and
 * {@linkcode toInt8} say how far a value moves.
 *
 * @throws {TypeError} when `x` isn't f32.
 */
export function toPrecision(x: Tensor, precision: Precision): Tensor {
  if (precision === "f16") return toHalf(x);
  if (precision === "int8") return toInt8(x);
  checkOperands("store", [x]);
  return x.detach();
}

/**
 * The values of a tensor in f32: a copy, or another handle on the same elements if it is f32 already. No gradient goes through
 * it.
 *
 * @throws {TypeError} when the elements aren't floats.
 */
export function toFloat(x: Tensor): Tensor {
  if (x.dtype === "f16") return fromHalf(x);
  if (x.dtype === "int8") return fromInt8(x);
  checkOperands("widen", [x]);
  return x.detach();
}

/**
 * The values that a frozen weight was rounded from, in f32: read again where they can be, else as {@linkcode toFloat}. What is
 * computed from a pretrained weight, such as its SVD, is computed from these, so that it is rounded once. The caller disposes the
 * result.
 *
 * @throws what reading them throws.
 */
export async function unrounded(x: Tensor): Promise<Tensor> {
  return x.original === undefined ? toFloat(x) : tensor(x.gpu, await x.original(), { shape: x.shape });
}
