import source from "../../shaders/fill.wgsl";
import { f32Bits, type Gpu } from "../gpu/device.ts";
import { Kernel } from "../gpu/kernel.ts";
import type { Shape } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { launch } from "./launch.ts";

const fillKernel = new Kernel({ name: "fill", source, bindings: ["write"] });

/** A tensor with every element equal to `value`. */
export function full(gpu: Gpu, shape: Shape, value: number): Tensor {
  const result = empty(gpu, shape);
  fill(result, value);
  return result;
}

/** Overwrites every element. */
export function fill(target: Tensor, value: number): void {
  const bits = target.dtype === "f32" ? f32Bits(value) : value >>> 0;
  launch(fillKernel, { tensors: [target], params: [target.size, bits], threads: target.size });
}

/** A tensor of zeros. */
export function zeros(gpu: Gpu, shape: Shape): Tensor {
  return full(gpu, shape, 0);
}

/** A tensor of ones. */
export function ones(gpu: Gpu, shape: Shape): Tensor {
  return full(gpu, shape, 1);
}
