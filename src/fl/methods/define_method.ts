import type { z } from "zod";
import { type Definition, type Factory, factoryOf } from "../factory.ts";
import type { Method } from "../method.ts";

/** What is said of a method, and how it is made. */
export interface MethodDefinition<Options extends z.ZodObject> extends Definition<Options, Method> {
  /** Other names it has had. */
  readonly aliases?: readonly string[];
  /** What clients train. */
  readonly trains: string;
  /** What the server does with it. */
  readonly server: string;
  /**
   * The rule as a formula: p_k is a client's share of the examples, s = alpha / r, a bar means Σ p_k, t the round. Weights are [o, i], A [r, i] and
   * B [o, r].
   */
  readonly rule: string;
  /** What a client sends each round for a layer, and how many values that is; the head, which most send too, is left out. */
  readonly up: string;
  /** What it gets. */
  readonly down: string;
}

/** Makes a method of its options, and says what it is. */
export type MethodFactory<Options extends z.ZodObject = z.ZodObject> = Factory<
  Options,
  Method,
  MethodDefinition<Options>
>;

/**
 * The factory of a method.
 *
 * @example
 * ```ts no-run
 * export const mine = defineMethod({
 *   name: "mine",
 *   trains: "biases",
 *   server: "averages them",
 *   rule: "b ← Σ p_k·b_k",
 *   up: "b: o",
 *   down: "b: o",
 *   options: z.strictObject({}),
 *   create: () => averaging({ name: "mine", ... }),
 * });
 * ```
 */
export function defineMethod<Options extends z.ZodObject>(
  definition: MethodDefinition<Options>,
): MethodFactory<Options> {
  return factoryOf(definition, `make the method ${definition.name}`);
}
