export * from "./batches.ts";
export * from "./block_training.ts";
export { firstInputs } from "./step_rows.ts";
