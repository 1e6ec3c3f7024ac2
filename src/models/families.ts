import { bertFamily } from "./bert/model.ts";
import { debertaV2Family } from "./deberta/model.ts";
import { distilBertFamily } from "./distilbert/model.ts";
import { electraFamily } from "./electra/model.ts";
import type { EncoderFamily } from "./family.ts";
import { robertaFamilies } from "./roberta/model.ts";

const families: readonly EncoderFamily[] = [
  bertFamily,
  debertaV2Family,
  distilBertFamily,
  electraFamily,
  ...Object.values(robertaFamilies),
];

/** The supported families of encoders, by `model_type` of their `config.json`. */
export const encoderFamilies: ReadonlyMap<string, EncoderFamily> = new Map(
  families.map((family) => [family.modelType, family]),
);
