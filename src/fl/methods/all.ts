// Every method: a line each. A file exports its factory and nothing else.
export * from "./baselines/central.ts";
export * from "./parameters/fed_bf.ts";
export * from "./products/fed_ex_lora.ts";
export * from "./factors/fed_it.ts";
export * from "./factors/fed_sa_lora.ts";
export * from "./factors/federa.ts";
export * from "./products/federa_exact.ts";
export * from "./factors/federa_ffa.ts";
export * from "./factors/ffa_lora.ts";
export * from "./products/flex_lora.ts";
export * from "./products/flora.ts";
export * from "./parameters/full.ts";
export * from "./parameters/ln_tune.ts";
export * from "./products/het_lora.ts";
export * from "./baselines/local.ts";
export * from "./factors/ro_lora.ts";
export * from "./parameters/slora.ts";
