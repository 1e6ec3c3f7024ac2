import type { z } from "zod";
import type { Described } from "../factory.ts";
import { parseOptions } from "../parse_options.ts";
import type { Method } from "../method.ts";

/** What is said of a federated algorithm, and how it is put over a method. */
export interface AlgorithmDefinition<Options extends z.ZodObject> extends Described<Options> {
  /** What it changes. */
  readonly summary: string;
  readonly papers: readonly string[];
  /** The method with the algorithm over it. */
  over(inner: Method, options: z.output<Options>): Method;
}

/** Puts an algorithm over a method. */
export interface Algorithm<Options extends z.ZodObject = z.ZodObject> {
  /**
   * @throws {RangeError} naming every option that is out of range or unknown.
   * @throws {TypeError} over a method whose clients' privacy is protected already.
   */
  (inner: Method, options?: z.input<Options>): Method;
  readonly definition: AlgorithmDefinition<Options>;
}

/**
 * An algorithm that goes with any method: it changes what clients do locally, or what the server makes of their mean.
 *
 * @example
 * ```ts no-run
 * simulate(pretrained, { ...options, method: fedProx(feDeRa({ rank: 8 }), { mu: 0.01 }) });
 * ```
 */
export function defineAlgorithm<Options extends z.ZodObject>(
  definition: AlgorithmDefinition<Options>,
): Algorithm<Options> {
  const { name, options: schema, over } = definition;
  const algorithm = (inner: Method, options?: z.input<Options>) => {
    if (inner.privacy !== undefined) {
      throw new TypeError(
        `Cannot put ${name} over ${inner.name}: what it sends wouldn't be clipped and noised; put the privacy over it`,
      );
    }
    const method = over(inner, parseOptions(schema, options, `use ${name}`));
    return { ...method, name: `${name}(${inner.name})` };
  };
  return Object.assign(algorithm, { definition });
}
