import { z } from "zod";
import { type Method, type MethodFactory, methods } from "../../fl/mod.ts";
import { type AlgorithmConfig, algorithmConfig, withAlgorithms } from "./algorithm_config.ts";
import { folderName } from "./names.ts";

/** What every entry of `methods` has. */
const common = {
  /** Names the method's folder and its row in the table; the method's name by default. */
  label: folderName.optional(),
  learningRate: z.number().gt(0).max(1e6),
  /** What changes local training or the server's step, whatever the method: FedProx, SCAFFOLD, FedAdam … */
  algorithm: algorithmConfig.optional(),
};

/** One entry of `methods`, checked: with the method's own options beside what all have. */
export interface MethodConfig {
  readonly method: string;
  readonly label?: string | undefined;
  readonly learningRate: number;
  readonly algorithm?: readonly AlgorithmConfig[] | undefined;
  readonly [option: string]: unknown;
}

/** One entry of `methods` as people write it. */
export type MethodConfigInput = Omit<MethodConfig, "algorithm"> & {
  readonly algorithm?: z.input<typeof algorithmConfig>;
};

/** The schema of an entry of `methods`: each method brings the schema of its options. */
export const methodConfig = z.discriminatedUnion(
  "method",
  [...methods.values()].map(({ definition: { name, aliases = [], options } }) =>
    options.extend({ method: z.enum([name, ...aliases]), ...common })
  ) as unknown as [z.ZodObject<{ method: z.ZodEnum }>],
) as unknown as z.ZodType<MethodConfig, MethodConfigInput>;

/** The method of an entry. */
export function createMethod(config: MethodConfig): Method {
  const { method, label: _, learningRate: __, algorithm = [], ...options } = config;
  return withAlgorithms(factoryOf(method)(options), algorithm);
}

/** What names a method of a run: its label, or by default the algorithms over it and its name, such as `fedadam-federa`. */
export function methodLabel(
  { method, label, algorithm = [] }: Pick<MethodConfig, "method" | "label" | "algorithm">,
): string {
  return label ?? [...algorithm.map(({ name }) => name).reverse(), method].join("-");
}

function factoryOf(method: string): MethodFactory {
  const found = methods.get(method) ??
    [...methods.values()].find(({ definition: { aliases = [] } }) => aliases.includes(method));
  if (found === undefined) throw new RangeError(`Cannot find the method ${JSON.stringify(method)}`);
  return found;
}
