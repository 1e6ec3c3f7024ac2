export * from "./adamw.ts";
export * from "./clip.ts";
export { type Optimizer, type StepOptions } from "./optimizer.ts";
export * from "./schedule.ts";
export * from "./sgd.ts";
