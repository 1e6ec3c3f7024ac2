export { folderStore } from "./folder_store_node.ts";
export { FlowerLearner, type FlowerLearnerOptions, type WrittenModel } from "./learner.ts";
export type { OwnExamples } from "./own_data.ts";
export { RefusedRunError } from "./refusal.ts";
export { type LearningNodeOptions, runLearningNode } from "./run_learning_node.ts";
export type { RunStore, SavedRun } from "./run_store.ts";
