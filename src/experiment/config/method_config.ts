import { z } from "zod";
import { type Method, type MethodFactory, methods } from "../../fl/mod.ts";
import { folderName } from "./names.ts";

/** What every entry of `methods` has. */
const common = {
  /** Names the method's folder and its row in the table; the method's name by default. */
  label: folderName.optional(),
  learningRate: z.number().gt(0).max(1e6),
};

/** One entry of `methods`, checked: with the method's own options beside what all have. */
export interface MethodConfig {
  readonly method: string;
  readonly label?: string | undefined;
  readonly learningRate: number;
  readonly [option: string]: unknown;
}

/** One entry of `methods` as people write it. */
export type MethodConfigInput = MethodConfig;

/** The schema of an entry of `methods`: each method brings the schema of its options. */
export const methodConfig = z.discriminatedUnion(
  "method",
  [...methods.values()].map(({ definition: { name, aliases = [], options } }) =>
    options.extend({ method: z.enum([name, ...aliases]), ...common })
  ) as unknown as [z.ZodObject<{ method: z.ZodEnum }>],
) as unknown as z.ZodType<MethodConfig, MethodConfigInput>;

/** The method of an entry. */
export function createMethod({ method, label: _, learningRate: __, ...options }: MethodConfig): Method {
  return factoryOf(method)(options);
}

/** What names a method of a run. */
export function methodLabel({ method, label }: Pick<MethodConfig, "method" | "label">): string {
  return label ?? method;
}

function factoryOf(method: string): MethodFactory {
  const found = methods.get(method) ??
    [...methods.values()].find(({ definition: { aliases = [] } }) => aliases.includes(method));
  if (found === undefined) throw new RangeError(`Cannot find the method ${JSON.stringify(method)}`);
  return found;
}
