import type { FederatedMethod } from "../method.ts";
import { biasOnly } from "./bias_only.ts";
import { fedIt } from "./fed_it.ts";
import { feDeRa } from "./federa.ts";
import { feDeRaExact } from "./federa_exact.ts";
import { ffaLora } from "./ffa_lora.ts";
import { fullFineTuning } from "./full_fine_tuning.ts";

export { biasOnly, feDeRa, feDeRaExact, fedIt, ffaLora, fullFineTuning };

/** Every method by name. */
export const methods: ReadonlyMap<string, FederatedMethod> = new Map(
  [fedIt, feDeRa, ffaLora, feDeRaExact as FederatedMethod, fullFineTuning, biasOnly].map((
    method,
  ) => [method.name, method]),
);
