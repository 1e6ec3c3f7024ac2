import type { ModelFiles } from "../hub/files/model_files.ts";
import { excerpt } from "../data/text/excerpt.ts";
import { readJsonObject } from "../hub/files/read_json_object.ts";
import { nearestKey } from "../data/text/nearest_key.ts";
import { ModelConfigError } from "./errors.ts";
import { encoderFamilies } from "./families.ts";
import type { EncoderFamily } from "./family.ts";
import type { TransformerConfig } from "./transformer/config.ts";

/** The longest `config.json` that is read, in bytes. */
const maxBytes = 16 << 20;

/** What a model's `config.json` says of its encoder. */
export interface EncoderConfig {
  readonly family: EncoderFamily;
  /** As the family reads it. */
  readonly config: TransformerConfig;
  /** The whole of the file. */
  readonly json: Readonly<Record<string, unknown>>;
}

/**
 * Reads a model's `config.json`.
 *
 * @throws {ModelConfigError} when there is none, or its `model_type` isn't among {@linkcode encoderFamilies}; or listing every
 *   field that is missing, wrong, or asks for what isn't supported.
 * @throws {CorruptFileError} when it isn't a JSON object.
 */
export async function readEncoderConfig(files: ModelFiles): Promise<EncoderConfig> {
  const json = await readJsonObject(files, "config.json", { maxBytes });
  if (json === undefined) {
    throw new ModelConfigError(`Cannot open ${files.source}: it has no config.json`);
  }
  const family = familyOf(json.model_type, files.source);
  return { family, config: family.parseConfig(json), json };
}

function familyOf(modelType: unknown, source: string): EncoderFamily {
  const known = [...encoderFamilies.keys()];
  const family = typeof modelType === "string" ? encoderFamilies.get(modelType) : undefined;
  if (family !== undefined) return family;
  const nearest = typeof modelType === "string" ? nearestKey(modelType, known) : undefined;
  throw new ModelConfigError(
    `Cannot open ${source}: model_type of its config.json must be one of ${known.join(", ")}, got ${
      excerpt(modelType)
    }${nearest === undefined ? "" : `; the nearest is ${nearest}`}`,
  );
}
