export * from "./classification.ts";
export * from "./multi_label.ts";
export * from "./questions/question_answering.ts";
export * from "./regression.ts";
export * from "./token_classification.ts";
export * from "./questions/tune_no_answer.ts";
