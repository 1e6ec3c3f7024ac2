/**
 * Federated low-rank fine-tuning of pretrained encoders on WebGPU: everything of `federa/engine`, `federa/data`,
 * `federa/hub`, `federa/models`, `federa/tasks`, `federa/federa`, `federa/fl` and `federa/experiment`.
 *
 * @module
 */
export * from "./data/mod.ts";
export * from "./engine/mod.ts";
export * from "./experiment/mod.ts";
export * from "./federa/mod.ts";
export * from "./fl/mod.ts";
export * from "./hub/mod.ts";
export * from "./models/mod.ts";
export * from "./tasks/mod.ts";
