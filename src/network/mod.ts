/**
 * Past one process: clients and blocks of clients on other machines, in other people's federations and in browsers.
 *
 * @module
 */
export { FlowerFormatError, UnknownMessageTypeError } from "./flower/errors.ts";
export type { FlowerEvent } from "./flower/event.ts";
export type { FlowerHandler, FlowerMessage, HandlerContext } from "./flower/message.ts";
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
export * from "./nats/federation/mod.ts";
