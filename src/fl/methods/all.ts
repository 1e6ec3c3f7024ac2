// Every method: a line each. A file exports its factory and nothing else.
export * from "./central.ts";
export * from "./fed_bf.ts";
export * from "./fed_ex_lora.ts";
export * from "./fed_it.ts";
export * from "./fed_sa_lora.ts";
export * from "./federa.ts";
export * from "./federa_exact.ts";
export * from "./federa_ffa.ts";
export * from "./ffa_lora.ts";
export * from "./flex_lora.ts";
export * from "./flora.ts";
export * from "./full.ts";
export * from "./het_lora.ts";
export * from "./local.ts";
export * from "./ro_lora.ts";
export * from "./slora.ts";
