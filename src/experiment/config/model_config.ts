import { z } from "zod";
import { path } from "./names.ts";

/** Where the encoder comes from: text alone is its source. */
export const modelConfig = z.preprocess(
  (value) => typeof value === "string" ? { source: value } : value,
  z.strictObject({
    /** `use-lite`, `hf:owner/name[@revision]`, `npm:package@version[/folder]`, or the path of a checkpoint's folder. */
    source: path,
    /** What a text's vector is made of; by default what the checkpoint says, or suits it. */
    pooling: z.enum(["mean", "cls", "pooler"]).optional(),
  }),
);

/** Which encoder to take. */
export type ModelConfig = z.output<typeof modelConfig>;

/** The source that stands for the Universal Sentence Encoder lite. */
export const USE_LITE = "use-lite";
