export type { Patience } from "./_retry.ts";
export type { Environment } from "./_settings.ts";
export * from "./local_model_files.ts";
export * from "./memory_model_files.ts";
export * from "./model_file.ts";
export * from "./model_file_progress.ts";
export * from "./model_files.ts";
export * from "./open_model_files.ts";
export * from "./read_model_file.ts";
