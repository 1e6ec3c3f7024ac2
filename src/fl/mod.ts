/**
 * Federated learning: methods, the rounds of a federation, who trains, what is sent, and its simulation in one process.
 *
 * @module
 */
export * from "./aggregation/aggregator.ts";
export * from "./algorithms/mod.ts";
export {
  type AggregationRule,
  type AggregationRuleDefinition,
  defineRule,
} from "./aggregation/define_rule.ts";
export * from "./aggregation/rules/mod.ts";
export * from "./attacks/mod.ts";
export * from "./asynchrony/mod.ts";
export { meanAggregator, meanOfEachAggregator } from "./aggregation/mean.ts";
export * from "./client/client_scores.ts";
export { type ClientStore, hostStore, type StoredClient } from "./client/client_store.ts";
export * from "./client/participant.ts";
export { diskStore } from "./client/disk_store.ts";
export { trainClient, type TrainClientOptions, type TrainedClient } from "./client/train_client.ts";
export { uploadShapes } from "./client/upload_shapes.ts";
export * from "./events.ts";
export * from "./federate.ts";
export * from "./fleet.ts";
export * from "./history.ts";
export * from "./legality.ts";
export * from "./measures/mod.ts";
export * from "./method.ts";
export * from "./methods/mod.ts";
export * from "./own_parameters.ts";
export * from "./participants.ts";
export * from "./privacy/mod.ts";
export * from "./privacy/secure_aggregation/mod.ts";
export * from "./run_state.ts";
export type { PhaseSeconds } from "./phase_timer.ts";
export { rehearseArrivals } from "./simulation/arrivals.ts";
export { BlockParticipants } from "./simulation/block_participants.ts";
export { ClientsSide, type OpenedState } from "./simulation/clients_side.ts";
export { type MemoryPlan } from "./simulation/memory_plan.ts";
export { type SimulationOptions } from "./simulation/options.ts";
export { simulate, type SimulationEvent } from "./simulation/simulate.ts";
export { type HostTensor, type HostTensors, type Shapes, shapesOf, type Tensors } from "./tensors.ts";
export type { Tree } from "./tree.ts";
export * from "./transport/mod.ts";
