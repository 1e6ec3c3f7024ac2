/**
 * Past one process: clients and blocks of clients on other machines, in other people's federations and in browsers.
 *
 * @module
 */
export { FLOWER_TIMING, type FlowerTiming } from "./flower/client/timing.ts";
export {
  FlowerFormatError,
  NodeKeyError,
  SuperlinkError,
  type SuperlinkErrorOptions,
  type SuperlinkFailure,
  UnknownMessageTypeError,
} from "./flower/errors.ts";
export { describeFlowerEvent, type FlowerEvent } from "./flower/event.ts";
export type { FlowerHandler, FlowerMessage, HandlerContext } from "./flower/message.ts";
export { type FlowerNodeOptions, runFlowerNode } from "./flower/node/run_flower_node.ts";
export {
  type ArrayRecord,
  type ConfigRecord,
  type ConfigValue,
  type DtypeName,
  findRecord,
  float32Array,
  type FlowerArray,
  type FlowerArrayData,
  type FlowerNumber,
  type FlowerRecord,
  type FlowerRecords,
  type MetricRecord,
  type MetricValue,
} from "./flower/records/record.ts";
export * from "./flower/learning/mod.ts";
export { connectNats, type NatsCredentials, type NatsOptions, type NatsTls } from "./nats/connection.ts";
export { NatsError, NatsObjectError } from "./nats/errors.ts";
export * from "./nats/federation/mod.ts";
export { type CreateObjectsOptions, type GetObjectOptions, Objects } from "./nats/objects.ts";
export {
  type BlockDone,
  Coordinator,
  type CoordinatorOptions,
  type RoundListener,
} from "./nats/workers/coordinator/coordinator.ts";
export { kindOf } from "./nats/workers/bits_node.ts";
export { WorkerRefusedError, WorkersError } from "./nats/workers/errors.ts";
export { type WorkerKind } from "./nats/workers/messages.ts";
export { type QueueNames, queueNames, workerPermissions } from "./nats/workers/names.ts";
export { checkWorkers, trainersOn } from "./nats/workers/coordinator/trainers_node.ts";
export { work, type WorkerOptions } from "./nats/workers/worker/worker_node.ts";
