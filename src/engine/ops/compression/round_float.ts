import source from "../../../shaders/compression/round_float.wgsl";
import { Kernel } from "../../gpu/kernel.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { checkOperands, launch } from "../launch.ts";

const roundFloatKernel = new Kernel({ name: "round_float", source, bindings: ["read", "write"] });

/** A floating-point format shorter than f32. */
export type ShortFloat = "f16" | "bf16";

/**
 * Each value as it comes back from a shorter format: rounded to the nearest, ties to even. What would round to infinity
 * becomes the largest finite value of the format instead (65504 in f16); infinity and NaN stay what they are. Every adapter
 * gives the same bits. No gradient goes through it.
 *
 * @example
 * ```ts
 * import { openGpu, roundFloat, tensor } from "federa/engine";
 *
 * using gpu = await openGpu();
 * console.log(await roundFloat(tensor(gpu, [1.001, 1e6]), "f16").data()); // 1.0009765625, 65504
 * ```
 */
export function roundFloat(x: Tensor, format: ShortFloat): Tensor {
  checkOperands("round", [x]);
  const y = empty(x.gpu, x.shape);
  launch(roundFloatKernel, {
    tensors: [x, y],
    params: [x.size],
    threads: x.size,
    constants: { FORMAT: format.toUpperCase() },
  });
  return y;
}
