export * from "./attention/attention.ts";
export * from "./create.ts";
export * from "./elementwise.ts";
export * from "./embedding.ts";
export { toHalf } from "./compression/half.ts";
export { toInt8 } from "./compression/int8.ts";
export * from "./compression/keep_largest.ts";
export * from "./reduction/layer_norm.ts";
export * from "./matmul/linear.ts";
export { type LowRankTerm, lowRankUpdate } from "./matmul/low_rank_update.ts";
export * from "./reduction/loss.ts";
export * from "./matmul/matmul.ts";
export * from "./compression/precision.ts";
export { quantizeRows, type QuantizeRowsOptions } from "./compression/quantize.ts";
export * from "./reduction/non_finite.ts";
export { longestColumn, meanNearMedian, sortColumns } from "./order/sort_columns.ts";
export * from "./reduction/pairwise_distances.ts";
export * from "./random.ts";
export { argmax, logSumExp, max, mean, type ReduceOptions, sum, sumOfSquares } from "./reduction/reduce.ts";
export * from "./attention/relative_attention.ts";
export * from "./attention/relative_positions.ts";
export * from "./compression/round_float.ts";
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
export { logSoftmax, softmax } from "./reduction/softmax.ts";
export { tilesOf, type TunedClass, tuneMatmul, type TuneOptions } from "./matmul/tune_matmul.ts";
export { type ObservedProblem, type TunedTiles, type Tuning, tuningOf } from "./matmul/tuning.ts";
export * from "./take_rows.ts";
export * from "./token_positions.ts";
export * from "./update.ts";
