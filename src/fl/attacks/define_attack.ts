import type { z } from "zod";
import type { Task, TaskSet } from "../../tasks/mod.ts";
import type { Client } from "../method.ts";
import { type Definition, type Factory, factoryOf } from "../factory.ts";
import type { Tensors } from "../tensors.ts";

/** What hostile clients know of a round. */
export interface AttackContext {
  readonly round: number;
  readonly seed: number;
  /** The hostile clients of the round, M of them, which act together. */
  readonly clients: readonly Client[];
  /** The number of clients that the round asks. */
  readonly cohort: number;
  /** Where they started, [...] where all start alike, otherwise [M, ...]; an upload of the same name is a value of it. */
  readonly start: Tensors;
}

/** What hostile clients do. They train as others do, and then go their own way. */
export interface Attack {
  readonly name: string;
  /**
   * What they train on in place of the true data.
   *
   * @throws {TypeError} when it has no meaning for the task.
   */
  poison?(train: TaskSet, task: Task): TaskSet;
  /**
   * What they send in place of what they trained, [M, ...] by name. It comes after the stages of clients, which they needn't obey, and
   * before the codec.
   */
  upload?(honest: Tensors, context: AttackContext): Tensors;
  /** What the server finds in their payloads in place of values [C, ...]. */
  garble?(values: Tensors): Tensors;
}

/** What is said of a kind of attack, and how it is made. */
export interface AttackDefinition<Options extends z.ZodObject>
  extends Definition<Options, Omit<Attack, "name">> {
  /** What hostile clients do. */
  readonly summary: string;
}

/** Makes an attack of its options, and says what it is. */
export type AttackKind<Options extends z.ZodObject = z.ZodObject> = Factory<
  Options,
  Attack,
  AttackDefinition<Options>
>;

/**
 * A kind of attack, to find out what a rule of aggregation withstands.
 *
 * @example
 * ```ts no-run
 * simulate(pretrained, { ...options, attackers: { share: 0.2, attack: signFlip({ factor: 5 }) } });
 * ```
 */
export function defineAttack<Options extends z.ZodObject>(
  definition: AttackDefinition<Options>,
): AttackKind<Options> {
  const { name, create } = definition;
  const named = { ...definition, create: (options: z.output<Options>) => ({ name, ...create(options) }) };
  return factoryOf(named, `attack by ${name}`);
}
