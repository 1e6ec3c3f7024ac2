import { byName } from "../factory.ts";
import type { Algorithm } from "./define_algorithm.ts";
import { fedDyn } from "./fed_dyn.ts";
import { fedNova } from "./fed_nova.ts";
import { fedAdagrad, fedAdam, fedAvgM, fedYogi } from "./fed_opt.ts";
import { fedProx } from "./fed_prox.ts";
import { scaffold } from "./scaffold.ts";

export { type Algorithm, type AlgorithmDefinition, defineAlgorithm } from "./define_algorithm.ts";
export * from "./privacy/mod.ts";
export { fedAdagrad, fedAdam, fedAvgM, fedDyn, fedNova, fedProx, fedYogi, scaffold };

/** What goes over any method, in the order of tables. */
const all = [fedProx, scaffold, fedDyn, fedNova, fedAvgM, fedAdagrad, fedAdam, fedYogi] as const;

/** Every algorithm by name. */
export const algorithms: ReadonlyMap<string, Algorithm> = byName(all);
