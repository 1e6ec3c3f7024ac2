/**
 * What crosses the wire: codecs, and the payloads they make.
 *
 * @module
 */
export * from "./codec.ts";
export * from "./codecs.ts";
export { f32Codec } from "./float_codec.ts";
export * from "./payload.ts";
export { type ReceiveOptions, receiveUpload } from "./receive.ts";
