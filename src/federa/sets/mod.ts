export * from "./attention_scales.ts";
export * from "./bottlenecks.ts";
export * from "./layer_norms.ts";
export * from "./layer_similarities.ts";
export * from "./parameters_within.ts";
export * from "./prefixes.ts";
export * from "./prompts.ts";
export * from "./pst.ts";
