/**
 * Runs without a terminal: configurations, loading data and models, replicates and their statistics, and trained models.
 * Whatever touches files or the hub needs Node.
 *
 * @module
 */
export { ResumeError } from "./checkpoint/continue_method.ts";
export type { Comparison, Contender, RateTuning, Setting } from "./compare/comparison.ts";
export {
  type ComparisonInput,
  type ComparisonSources,
  parseComparison,
  readComparison,
} from "./compare/comparison_config.ts";
export { RecordStore } from "./compare/record_store.ts";
export {
  runComparison,
  type RunComparisonOptions,
  type Shard,
  type UnitFailure,
} from "./compare/run_comparison.ts";
export { scoresChart } from "./compare/scores_chart.ts";
export {
  type ComparisonSummary,
  type ContenderSummary,
  type SettingSummary,
  summarizeComparison,
} from "./compare/summarize_comparison.ts";
export type { RoundRecord, UnitRecord } from "./compare/unit_record.ts";
export { type Config, type ConfigInput, type MethodConfig, methodLabel } from "./config/config.ts";
export { ConfigError, parseConfig, readConfig } from "./config/parse_config.ts";
export type { LoadOptions } from "./data/load_data.ts";
export { openTunedGpu } from "./gpu/open_tuned_gpu.ts";
export type { LoadedModel } from "./model/load_model.ts";
export type { ProgressDetails, Reporter } from "./report/reporter.ts";
export {
  compareRuns,
  type MethodStatistics,
  type ScoreStatistics,
  type ScoreVariance,
} from "./run/compare_runs.ts";
export {
  type Experiment,
  openExperiment,
  prepareExperiment,
  simulateMethod,
  simulationOptions,
} from "./run/experiment.ts";
export { describeFailure } from "./run/failure.ts";
export { type Preparation, prepare } from "./run/prepare.ts";
export { type Replicate, replicateName, replicatesOf } from "./run/replicate.ts";
export {
  runExperiment,
  type RunExperimentOptions,
  type RunPlace,
  type RunResults,
} from "./run/run_experiment.ts";
export {
  createRunFolder,
  readRunConfig,
  removeTemporaries,
  RunFolderError,
  writeConfig,
} from "./run/run_folder.ts";
export {
  type MethodEvent,
  type MethodOutcome,
  type RecordedRun,
  recordRun,
  type RecordRunOptions,
} from "./run/record_run.ts";
export { runMethod, type RunMethodOptions } from "./run/run_method.ts";
export {
  type Baseline,
  majorityBaseline,
  type MethodEvents,
  type MethodStatus,
  type MethodSummary,
  summarize,
} from "./run/summary.ts";
export { crossedEffects, type Effect } from "./statistics/crossed_effects.ts";
export {
  crossedInterval,
  type DrawnDifference,
  type PairedDifference,
  pairedDifference,
} from "./statistics/paired_difference.ts";
export { type Sample, sampleOf } from "./statistics/sample.ts";
export { CONFIDENCE, type Interval, studentInterval } from "./statistics/student_t.ts";
export {
  type ModelDescription,
  readDescription,
  writeModelFolder,
  type WriteModelFolderOptions,
} from "./trained/model_folder.ts";
export { openTrained, recordOf, type TrainedModel } from "./trained/open_trained.ts";
export type { TrainedSettings } from "./trained/trained_settings.ts";
