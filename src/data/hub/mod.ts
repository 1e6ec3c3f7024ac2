export * from "./model_files.ts";
