export { embedExamples, type ExampleEmbeddings } from "./embed_examples.ts";
export * from "./evaluate.ts";
export * from "./mean_loss.ts";
export * from "./model_outputs.ts";
export * from "./predict.ts";
export {
  type EvaluateOptions,
  rehearseModel,
  type RowOutputs,
  runModel,
  type RunModelOptions,
} from "./run_model.ts";
