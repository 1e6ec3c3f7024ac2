export {
  evaluate,
  type EvaluateOptions,
  type Evaluation,
  type ModelOutputs,
  modelOutputs,
  scoreOutputs,
} from "./evaluate.ts";
