export * from "./batches.ts";
export * from "./block_training.ts";
