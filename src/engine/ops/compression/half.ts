import source from "../../../shaders/compression/half.wgsl";
import { Kernel } from "../../gpu/kernel.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { checkOperands, launch } from "../launch.ts";

const toHalfKernel = new Kernel({ name: "to_half", source, entry: "to_half", bindings: ["read", "write"] });
const toFloatKernel = new Kernel({
  name: "to_float",
  source,
  entry: "to_float",
  bindings: ["read", "write"],
});

/**
 * A copy in half precision. It takes half the memory and can be the weight of `linear` or the table of `embedding`; sums
 * stay in f32. Values round to 11 bits (relative error 2⁻¹¹ from 2⁻¹⁴ on, absolute 2⁻²⁵ below), and
 * those beyond 65504 become infinite. No gradient goes through it.
 */
export function toHalf(x: Tensor): Tensor {
  checkOperands("round to half precision", [x]);
  const halves = empty(x.gpu, x.shape, "f16");
  launch(toHalfKernel, { tensors: [x, halves], params: [x.size], threads: Math.ceil(x.size / 2) });
  return halves;
}

/** The values of a tensor in half precision, in f32. */
export function fromHalf(x: Tensor): Tensor {
  const floats = empty(x.gpu, x.shape);
  launch(toFloatKernel, { tensors: [x, floats], params: [x.size], threads: Math.ceil(x.size / 2) });
  return floats;
}
