import type { MethodFactory } from "./define_method.ts";
import { biasOnly } from "./fed_bf.ts";
import { fedIt } from "./fed_it.ts";
import { feDeRa } from "./federa.ts";
import { feDeRaExact } from "./federa_exact.ts";
import { ffaLora } from "./ffa_lora.ts";
import { fullFineTuning } from "./full.ts";

export { defineMethod, type MethodDefinition, type MethodFactory } from "./define_method.ts";
export { type Averaged, averaging, type AveragingOptions } from "./averaging.ts";
export { biasOnly, feDeRa, feDeRaExact, fedIt, ffaLora, fullFineTuning };

/** Every method, in the order of tables. */
const factories = [fedIt, feDeRa, ffaLora, feDeRaExact, fullFineTuning, biasOnly] as const;

/** Every method by name. */
export const methods: ReadonlyMap<string, MethodFactory> = new Map(
  factories.map((factory) => [factory.definition.name, factory as unknown as MethodFactory]),
);
