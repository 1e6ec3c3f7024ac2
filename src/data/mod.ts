/**
 * Examples to learn from, ways to share them out among clients, the files of models, and pinned npm packages. What touches files, the hub or npm needs Node.
 *
 * @module
 */
export * from "./data_files.ts";
export * from "./encoding.ts";
export * from "./errors.ts";
export * from "./examples.ts";
export { type ClassCount, countClasses, type SimilarLabels, similarLabels } from "./class_counts.ts";
export { placeOf } from "./example_place.ts";
export * from "./hub/mod.ts";
export * from "./json_object.ts";
export * from "./jsonl.ts";
export { cacheFolder } from "./cache_folder.ts";
export * from "./exact_json.ts";
export * from "./files.ts";
export { htmlToText, type MailText, readMailText } from "./mail_text.ts";
export * from "./label_order.ts";
export * from "./npm_package.ts";
export * from "./partition/mod.ts";
export * from "./rows/decode_text.ts";
export * from "./rows/example_columns.ts";
export * from "./rows/read_examples.ts";
export * from "./rows/read_prompts.ts";
export * from "./rows/read_rows.ts";
export * from "./rows/row_set.ts";
export * from "./spam_assassin.ts";
export * from "./split.ts";
export * from "./text_example.ts";
