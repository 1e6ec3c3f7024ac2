/**
 * Scores of predictions, as the field computes them.
 *
 * @module
 */
export * from "./accuracy.ts";
export * from "./confusion_matrix.ts";
export * from "./f1.ts";
