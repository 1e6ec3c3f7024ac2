/**
 * Federated learning: methods, simulation, evaluation, and what crosses the wire.
 *
 * @module
 */
export * from "./batches.ts";
export { effectiveWeights, measureDynamics } from "./dynamics.ts";
export type { DynamicsOptions, RoundDynamics, Variation } from "./dynamics.ts";
export {
  evaluate,
  type EvaluateOptions,
  type Evaluation,
  type ModelOutputs,
  modelOutputs,
  scoreOutputs,
} from "./evaluate.ts";
export * from "./events.ts";
export * from "./factor_covariance.ts";
export * from "./fed_avg.ts";
export * from "./history.ts";
export * from "./local_training.ts";
export { type MemoryPlan, planMemory } from "./memory.ts";
export * from "./method.ts";
export * from "./methods/mod.ts";
export * from "./own_parameters.ts";
export { simulate } from "./simulation.ts";
export { type SimulationOptions } from "./simulation_options.ts";
export * from "./traffic.ts";
export * from "./wire.ts";
