export * from "./attention.ts";
export * from "./create.ts";
export * from "./elementwise.ts";
export * from "./embedding.ts";
export * from "./half.ts";
export * from "./keep_largest.ts";
export * from "./layer_norm.ts";
export * from "./linear.ts";
export * from "./loss.ts";
export * from "./matmul.ts";
export * from "./quantize.ts";
export * from "./random.ts";
export { argmax, logSumExp, max, mean, type ReduceOptions, sum, sumOfSquares } from "./reduce.ts";
export * from "./relative_attention.ts";
export * from "./relative_positions.ts";
export * from "./round_float.ts";
export * from "./select.ts";
export {
  broadcastTo,
  concat,
  type ConcatOptions,
  permute,
  reshape,
  slice,
  type SliceOptions,
  transpose,
} from "./shape.ts";
export { logSoftmax, softmax } from "./softmax.ts";
export { tilesOf, type TunedClass, tuneMatmul, type TuneOptions } from "./tune_matmul.ts";
export * from "./token_positions.ts";
export * from "./update.ts";
