/**
 * A self-contained tensor engine on WebGPU: tensors with autograd, hand-written WGSL kernels, modules, optimisers and
 * linear algebra.
 *
 * @module
 */
export { canRecord, noGrad, record } from "./autograd.ts";
export { backward, type BackwardOptions } from "./backward.ts";
export { checkpoint } from "./checkpoint.ts";
export * from "./errors.ts";
export { type AdapterClass, type AdapterDescription, Gpu, type GpuStats } from "./gpu/device.ts";
export { openGpu, type OpenGpuOptions } from "./gpu/open_gpu.ts";
export type { MatmulProblem } from "./ops/matmul/matmul_plan.ts";
export { isTile, type MatmulTile, shapeClass, tileName } from "./ops/matmul/matmul_tile.ts";
export type { KernelProfile, Profile, Profiler } from "./gpu/profiler.ts";
export * from "./linalg/mod.ts";
export * from "./nn/mod.ts";
export * from "./ops/mod.ts";
export * from "./optim/mod.ts";
export * from "./random.ts";
export { formatShape, sameShape, type Shape, sizeOf } from "./shape.ts";
export {
  type DType,
  isStorageOnly,
  type Precision,
  Tensor,
  tensor,
  type TensorData,
  type TensorOptions,
} from "./tensor.ts";
export { disposeAll, keep, tidy } from "./tidy.ts";
