export * from "./adamw.ts";
export { type Optimizer, type StepOptions } from "./optimizer.ts";
export { emptyPacked, pack } from "./packed.ts";
export * from "./schedule.ts";
export * from "./sgd.ts";
