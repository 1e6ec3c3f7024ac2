/**
 * Secure aggregation: the server gets the sum of what clients send, and nothing else of it.
 *
 * @module
 */
export { secureAggregator } from "./aggregator.ts";
export * from "./dropouts.ts";
export * from "./errors.ts";
export * from "./messages.ts";
export * from "./neighbors.ts";
export {
  type SecureAggregationInput,
  type SecureAggregationOptions,
  secureAggregationSchema,
} from "./options.ts";
export { type Primitives, systemPrimitives } from "./primitives.ts";
export * from "./quantize.ts";
export { SecureClient } from "./secure_client.ts";
export { type Outbox, SecureServer, type SecureServerOptions, type SecureSum } from "./secure_server.ts";
export { decodeMessage, encodeMessage, messageLength } from "./wire.ts";
