export * from "./batches.ts";
export * from "./local_training.ts";
