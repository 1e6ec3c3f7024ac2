import { z } from "zod";
import { algorithms, type Method } from "../../fl/mod.ts";

/** An algorithm's name with its options. */
export interface AlgorithmConfig {
  readonly name: string;
  readonly [option: string]: unknown;
}

const one = z.preprocess(
  (value) => typeof value === "string" ? { name: value } : value,
  z.discriminatedUnion(
    "name",
    [...algorithms.values()].map(({ definition: { name, options } }) =>
      options.extend({ name: z.literal(name) })
    ) as unknown as [z.ZodObject<{ name: z.ZodLiteral<string> }>],
  ),
) as unknown as z.ZodType<AlgorithmConfig, string | AlgorithmConfig>;

/** What goes over a method: a name, a name with options, or a list of these, the innermost first. */
export const algorithmConfig = z.preprocess(
  (value) => Array.isArray(value) ? value : [value],
  z.array(one).superRefine((list, context) => {
    list.forEach(({ name }, i) => {
      if (list.findIndex((each) => each.name === name) < i) {
        context.addIssue({ code: "custom", path: [i], message: `"${name}" is used twice` });
      }
    });
  }),
) as unknown as z.ZodType<
  readonly AlgorithmConfig[],
  string | AlgorithmConfig | readonly (string | AlgorithmConfig)[]
>;

/** A method with algorithms over it. */
export function withAlgorithms(method: Method, chosen: readonly AlgorithmConfig[]): Method {
  return chosen.reduce((inner, { name, ...options }) => algorithms.get(name)!(inner, options), method);
}
