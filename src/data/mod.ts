/**
 * Examples to learn from, read from files, split, and shared out among clients. What touches files needs Node.
 *
 * @module
 */
export { type ClassCount, countClasses, type SimilarLabels, similarLabels } from "./examples/class_counts.ts";
export * from "./examples/example_columns.ts";
export { placeOf } from "./examples/example_place.ts";
export * from "./examples/examples.ts";
export * from "./examples/jsonl.ts";
export * from "./examples/label_order.ts";
export * from "./examples/read_examples.ts";
export * from "./examples/read_prompts.ts";
export * from "./examples/split.ts";
export * from "./examples/text_example.ts";
export * from "./errors.ts";
export * from "./files/find_data_files.ts";
export * from "./files/write_file.ts";
export * from "./partition/mod.ts";
export * from "./rows/json/exact_json.ts";
export * from "./rows/json/is_object.ts";
export * from "./rows/read_rows.ts";
export * from "./rows/row_set.ts";
export * from "./rows/text/decode_text.ts";
export * from "./rows/text/encoding.ts";
export { htmlToText, type MailText, readMailText } from "./text/mail_text.ts";
