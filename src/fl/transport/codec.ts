import type { z } from "zod";
import type { RandomKey, Tensor } from "../../engine/mod.ts";
import type { Safetensors } from "../../models/weights/safetensors.ts";
import type { HostTensor, HostTensors, Shapes, Tensors } from "../tensors.ts";

/** Options of {@linkcode Codec.encode}. */
export interface PayloadOptions {
  /** What random rounding is drawn by; a key must serve for one payload alone. */
  readonly key: RandomKey;
}

/** Options of {@linkcode Codec.decode}. */
export interface DecodeOptions {
  /**
   * The names and shapes that the receiver expects; others are refused before memory is taken for them. A few bytes of a codec
   * that leaves values out can stand for any number of them, so give this for payloads of strangers.
   */
  readonly expected?: Shapes;
}

/** Options of {@linkcode Codec.transmit}. */
export interface TransmitOptions {
  /** For each member the key that its payload would be encoded with. */
  readonly keys: readonly RandomKey[];
  /**
   * For each member the shapes of its own values, where some are smaller and stand in `values` with zeros appended to their
   * axes, as clients of lower rank do. By default all have the shapes of `values`.
   */
  readonly shapes?: readonly Shapes[];
}

/**
 * How values are put into bytes for the way between client and server. Each payload is one safetensors file that names its codec.
 *
 * In one process no bytes are made: `transmit` computes on the GPU what would arrive. For every member it gives the values of
 * `decode(encode(values, { key }))`, bit for bit, whichever members are beside it; and `payloadBytes` is the length of that payload.
 */
export interface Codec {
  /** As in configurations. */
  readonly name: string;
  /** Whether every bit arrives. Other codecs are for changes of a round, which are near 0. */
  readonly lossless: boolean;
  /**
   * Whether what got lost should be added to the client's next change (error feedback; Karimireddy et al., arXiv 1901.09847), as the
   * codec would otherwise lose the same again.
   */
  readonly feedback: boolean;
  /** Bytes of the payload of one client's values, which follow from their names and shapes alone. */
  payloadBytes(shapes: Shapes): number;
  /**
   * What the server would decode of each member's payload; the caller disposes it.
   *
   * Values should be finite. Where a member's aren't, what arrives isn't finite either, so that a check afterwards finds it.
   *
   * @param values [C, …] by name.
   */
  transmit(values: Tensors, options: TransmitOptions): Map<string, Tensor>;
  /**
   * The payload of one client's values. Equal values and keys give equal bytes, whatever the order of the map.
   *
   * @throws {NonFiniteError} when a value is NaN or infinite.
   * @throws {TypeError} when a shape disagrees with its data.
   */
  encode(values: HostTensors, options: PayloadOptions): Uint8Array<ArrayBuffer>;
  /**
   * The values in a payload of this codec; see {@linkcode decodePayload} for any codec's.
   *
   * @throws {CorruptFileError} when it holds something else than the codec writes, or than is expected, or NaN or infinity.
   */
  decode(payload: Safetensors, options?: DecodeOptions): Map<string, HostTensor>;
}

/** A codec that draws nothing at random. */
export interface KeylessCodec extends Codec {
  /** As {@linkcode Codec.encode}. */
  encode(values: HostTensors, options?: PayloadOptions): Uint8Array<ArrayBuffer>;
}

/** A codec to choose from. */
export interface CodecKind<Schema extends z.ZodObject = z.ZodObject> {
  readonly name: string;
  /** One line on what it does, with its source. */
  readonly summary: string;
  /** Of its part of a configuration: the name, and its options. */
  readonly schema: Schema;
  /** The codec with checked options. */
  create(config: z.output<Schema>): Codec;
}
