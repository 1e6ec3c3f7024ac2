import { bertFamily } from "./bert/model.ts";
import { debertaV2Family } from "./deberta/model.ts";
import type { EncoderFamily } from "./family.ts";

/** The families of encoders there are, by `model_type` of their `config.json`. */
export const encoderFamilies: ReadonlyMap<string, EncoderFamily> = new Map(
  [bertFamily, debertaV2Family].map((family: EncoderFamily) => [family.modelType, family]),
);
