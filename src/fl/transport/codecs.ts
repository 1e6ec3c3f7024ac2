import { z } from "zod";
import type { Codec, CodecKind } from "./codec.ts";
import { bf16, f16, f32 } from "./float_codec.ts";
import { int4, int8 } from "./int_codec.ts";
import { topK } from "./top_k_codec.ts";

const kinds = [f32, f16, bf16, int8, int4, topK] as const;
type SchemasOf<Kinds extends readonly CodecKind[]> = { [Index in keyof Kinds]: Kinds[Index]["schema"] };

/** Every codec to choose from. */
export const codecs: readonly CodecKind[] = kinds;

const union = z.discriminatedUnion(
  "name",
  kinds.map(({ schema }) => schema) as unknown as SchemasOf<typeof kinds>,
);

/** A codec's name with its options. */
export type CodecConfig = z.output<typeof union>;
/** As people write it: the name alone, or with options. */
export type CodecConfigInput = CodecConfig["name"] | z.input<typeof union>;

/** Of the choice of a codec in a configuration: `"int8"`, or `{ "name": "topk", "share": 0.01 }`. */
export const codecConfig: z.ZodType<CodecConfig, CodecConfigInput> = z.preprocess(
  (value) => typeof value === "string" ? { name: value } : value,
  union,
) as unknown as z.ZodType<CodecConfig, CodecConfigInput>;

/**
 * The codec that was chosen.
 *
 * @example
 * ```ts
 * const codec = createCodec(codecConfig.parse("int8"));
 * codec.payloadBytes(new Map([["loraA", [8, 768]]])); // bytes of the payload
 * ```
 */
export function createCodec(config: CodecConfig): Codec {
  return codecs.find(({ name }) => name === config.name)!.create(config);
}
