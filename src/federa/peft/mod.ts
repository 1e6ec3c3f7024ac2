export type { SentenceHead } from "./_sentence_modules.ts";
export * from "./base_model.ts";
export * from "./checkpoint.ts";
export * from "./config.ts";
export * from "./errors.ts";
export * from "./export.ts";
export * from "./files.ts";
export * from "./import.ts";
export * from "./whole_parameters.ts";
