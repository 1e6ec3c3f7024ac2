/**
 * Where models and packages come from: the Hugging Face hub, npm, folders and memory, with their caches. What touches
 * files, the hub or npm needs Node.
 *
 * @module
 */
export { cacheFolder } from "./cache_folder.ts";
export * from "./errors.ts";
export * from "./files/local_model_files.ts";
export * from "./files/memory_model_files.ts";
export * from "./files/model_file.ts";
export * from "./files/model_file_progress.ts";
export * from "./files/model_files.ts";
export * from "./files/read_json_object.ts";
export * from "./files/read_model_file.ts";
export * from "./files/url_model_files.ts";
export type { Patience } from "./hugging_face/retry.ts";
export type { Environment } from "./hugging_face/settings.ts";
export * from "./npm/npm_package.ts";
export * from "./open_model_files.ts";
export * from "./spam_assassin.ts";
