/**
 * Low-rank adapters: LoRA, FeDeRA, and their files.
 *
 * @module
 */
export * from "./adapter_file.ts";
export * from "./adapters.ts";
export * from "./errors.ts";
export * from "./export.ts";
export * from "./federa.ts";
export * from "./initialization.ts";
export * from "./fingerprint.ts";
export * from "./inspect.ts";
export * from "./leading_factors.ts";
export * from "./lora.ts";
export * from "./low_rank_linear.ts";
export * from "./patterns.ts";
export * from "./peft/mod.ts";
export * from "./residual.ts";
export * from "./rounding.ts";
export * from "./spectrum.ts";
