/**
 * Federated learning: partitions, methods, simulation, evaluation, and what crosses the wire.
 *
 * @module
 */
export * from "./batches.ts";
export * from "./dataset.ts";
export * from "./dynamics.ts";
export * from "./evaluate.ts";
export * from "./events.ts";
export * from "./factor_covariance.ts";
export * from "./fed_avg.ts";
export * from "./history.ts";
export * from "./local_training.ts";
export * from "./method.ts";
export * from "./methods/mod.ts";
export * from "./metrics.ts";
export * from "./partition/mod.ts";
export { simulate } from "./simulation.ts";
export { type SimulationOptions } from "./simulation_options.ts";
export * from "./traffic.ts";
export * from "./wire.ts";
