/**
 * Federated learning: methods, simulation, and what crosses the wire.
 *
 * @module
 */
export { effectiveWeights, measureDynamics } from "./dynamics.ts";
export type { DynamicsOptions, RoundDynamics, Variation } from "./dynamics.ts";
export * from "./events.ts";
export * from "./factor_covariance.ts";
export * from "./fed_avg.ts";
export * from "./history.ts";
export { type MemoryPlan, planMemory } from "./memory.ts";
export * from "./measures/mod.ts";
export * from "./method.ts";
export * from "./methods/mod.ts";
export * from "./own_parameters.ts";
export { simulate } from "./simulation.ts";
export { type SimulationOptions } from "./simulation_options.ts";
export * from "./traffic.ts";
export * from "./tensors.ts";
export * from "./transport/mod.ts";
