/**
 * Scores of predictions, as the field computes them.
 *
 * @module
 */
export * from "./accuracy.ts";
export * from "./answers.ts";
export * from "./confusion_matrix.ts";
export * from "./correlation.ts";
export * from "./entities.ts";
export * from "./f1.ts";
export * from "./matthews.ts";
export * from "./multi_label.ts";
export * from "./no_answer_threshold.ts";
