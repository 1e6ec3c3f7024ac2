import type { MethodFactory } from "./define_method.ts";
import { central } from "./central.ts";
import { fedExLora } from "./fed_ex_lora.ts";
import { fedSaLora } from "./fed_sa_lora.ts";
import { flexLora } from "./flex_lora.ts";
import { fLora } from "./flora.ts";
import { hetLora } from "./het_lora.ts";
import { local } from "./local.ts";
import { roLora } from "./ro_lora.ts";
import { biasOnly } from "./fed_bf.ts";
import { fedIt } from "./fed_it.ts";
import { feDeRa } from "./federa.ts";
import { feDeRaExact } from "./federa_exact.ts";
import { ffaLora } from "./ffa_lora.ts";
import { fullFineTuning } from "./full.ts";

export { defineMethod, type MethodDefinition, type MethodFactory } from "./define_method.ts";
export { type Averaged, averaging, type AveragingOptions } from "./averaging.ts";
export {
  biasOnly,
  central,
  feDeRa,
  feDeRaExact,
  fedExLora,
  fedIt,
  fedSaLora,
  ffaLora,
  flexLora,
  fLora,
  fullFineTuning,
  hetLora,
  local,
  roLora,
};

/** Every method, in the order of tables. */
const factories = [
  fedIt,
  feDeRa,
  ffaLora,
  roLora,
  fedSaLora,
  flexLora,
  hetLora,
  fLora,
  fedExLora,
  feDeRaExact,
  fullFineTuning,
  biasOnly,
  local,
  central,
] as const;

/** Every method by name. */
export const methods: ReadonlyMap<string, MethodFactory> = new Map(
  factories.map((factory) => [factory.definition.name, factory as unknown as MethodFactory]),
);
