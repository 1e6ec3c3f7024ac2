import type { z } from "zod";
import { parseOptions } from "./parse_options.ts";

/** What is said of something that is made of options. */
export interface Described<Options extends z.ZodObject> {
  /** Names it in configurations, files and tables. */
  readonly name: string;
  /** Where it comes from, as numbers of arXiv. */
  readonly papers?: readonly string[];
  /** Its options, with their ranges and defaults. */
  readonly options: Options;
}

/** What is said of it, and how it is made. */
export interface Definition<Options extends z.ZodObject, Made> extends Described<Options> {
  /** Makes it of checked options. */
  create(options: z.output<Options>): Made;
}

/** Makes something of its options, and says what it is. */
export interface Factory<Options extends z.ZodObject, Made, Of extends Described<Options>> {
  /** @throws {RangeError} naming every option that is out of range or unknown. */
  (options?: z.input<Options>): Made;
  readonly definition: Of;
}

/**
 * The factory of a definition.
 *
 * @param action what can't be done when the options don't fit, as in "make the method fedit".
 */
export function factoryOf<Options extends z.ZodObject, Made, Of extends Definition<Options, Made>>(
  definition: Of,
  action: string,
): Factory<Options, Made, Of> {
  const factory = (options?: z.input<Options>) =>
    definition.create(parseOptions(definition.options, options, action));
  return Object.assign(factory, { definition });
}

/** Factories by the names of what they make, whatever options each takes. */
export function byName<Each extends { readonly definition: { readonly name: string } }>(
  factories: readonly unknown[],
): ReadonlyMap<string, Each> {
  return new Map((factories as readonly Each[]).map((each) => [each.definition.name, each]));
}
