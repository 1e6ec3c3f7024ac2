import { z } from "zod";
import { randomKey, RandomStream } from "../../engine/random.ts";
import { describeIssue } from "../text/describe_issue.ts";

/** One vector for each example. */
export interface Embeddings {
  /** Row by row. */
  readonly data: ArrayLike<number>;
  /** Numbers of a vector. */
  readonly size: number;
}

/** What partitioners may look at; each says what it needs beside the number of examples. */
export interface PartitionInput {
  readonly numExamples: number;
  /** The class of each example. */
  readonly labels?: ArrayLike<number | string>;
  /** The order of the classes, where it matters; by default numbers by value, then names by code units. */
  readonly classes?: readonly (number | string)[];
  /** The natural owner of each example, such as a sender, a device or an author. */
  readonly keys?: readonly string[];
  /** A number for each example. */
  readonly values?: ArrayLike<number>;
  readonly embeddings?: Embeddings;
}

/** Parts of a {@linkcode PartitionInput} that a partitioner may need. */
export type PartitionNeed = "labels" | "keys" | "values" | "embeddings";

/** Options of {@linkcode Partitioner.partition}. */
export interface PartitionOptions {
  /** Seed of every draw, an integer from 0 to 2^53 - 1. */
  readonly seed: number;
}

/** Who holds which examples. */
export interface Partition {
  /** For each client the indices of its examples, ascending; at least one, and no index belongs to two. */
  readonly clients: readonly (readonly number[])[];
  /** Indices of the examples that nobody holds, ascending; empty for most partitioners. */
  readonly leftOut: readonly number[];
}

/** A way to share examples out among clients, with its options. */
export interface Partitioner {
  readonly kind: string;
  readonly needs: readonly PartitionNeed[];
  /**
   * Shares examples out. Equal input and seed give an equal partition.
   *
   * @throws {TypeError} if a part of the input that the partitioner needs is missing or malformed.
   * @throws {RangeError} if the examples can't be shared out as the options ask, or the seed is out of range.
   */
  partition(input: PartitionInput, options: PartitionOptions): Partition;
}

/** Makes partitioners of one kind: call it with the kind's options. */
export interface PartitionerFactory<
  Shape extends z.ZodRawShape = z.ZodRawShape,
  Kind extends string = string,
> {
  /** @throws {RangeError} naming every option that can't be used. */
  (options: z.input<z.ZodObject<Shape, z.core.$strict>>): Partitioner;
  /** Its name in configurations; Flower's, in kebab case. */
  readonly kind: Kind;
  /** One line for people. */
  readonly summary: string;
  readonly needs: readonly PartitionNeed[];
  /** The schema of each option. */
  readonly shape: Shape;
  /** Adds what is wrong with options that each fit their schema. */
  readonly check: (options: z.output<z.ZodObject<Shape, z.core.$strict>>, refuse: RefuseOption) => void;
  /** Options as a configuration may give them. */
  readonly example: z.input<z.ZodObject<Shape, z.core.$strict>>;
}

/** Tells what is wrong with an option. */
export type RefuseOption = (option: string, message: string) => void;

/** What {@linkcode definePartitioner} makes a factory of. */
export interface PartitionerDefinition<
  Kind extends string,
  Shape extends z.ZodRawShape,
  Need extends PartitionNeed,
> {
  readonly kind: Kind;
  readonly summary: string;
  readonly shape: Shape;
  readonly needs?: readonly Need[];
  readonly example: z.input<z.ZodObject<Shape, z.core.$strict>>;
  /** Adds what is wrong with options that each fit their schema; nothing by default. */
  check?(options: z.output<z.ZodObject<Shape, z.core.$strict>>, refuse: RefuseOption): void;
  /** The examples of each client, in any order. */
  share(
    input: PartitionInput & Required<Pick<PartitionInput, Need>>,
    options: z.output<z.ZodObject<Shape, z.core.$strict>>,
    stream: RandomStream,
  ): number[][];
}

/**
 * Makes the factory of a kind of partitioners: options are checked when a partitioner is made, the input before anything is shared
 * out, and the result after it.
 *
 * @example
 * ```ts no-run
 * const halves = definePartitioner({
 *   kind: "halves",
 *   summary: "the first half and the rest",
 *   shape: {},
 *   example: {},
 *   share({ numExamples: n }) {
 *     const all = Array.from({ length: n }, (_, i) => i);
 *     return [all.slice(0, n >> 1), all.slice(n >> 1)];
 *   },
 * });
 * halves({}).partition({ numExamples: 4 }, { seed: 1 }).clients; // [[0, 1], [2, 3]]
 * ```
 */
export function definePartitioner<
  const Kind extends string,
  Shape extends z.ZodRawShape,
  Need extends PartitionNeed = never,
>(definition: PartitionerDefinition<Kind, Shape, Need>): PartitionerFactory<Shape, Kind> {
  const { kind, summary, shape, needs = [], example, check = () => {}, share } = definition;
  const schema = z.strictObject(shape).superRefine((options, context) =>
    check(options, (option, message) => context.addIssue({ code: "custom", path: [option], message }))
  );
  const create = (given: z.input<typeof schema>): Partitioner => {
    const { success, data: options, error } = schema.safeParse(given, {
      error: (issue) => describeIssue(issue),
    });
    if (!success) {
      const problems = error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
      throw new RangeError(`Cannot partition (${kind}): ${problems}`);
    }
    return {
      kind,
      needs,
      partition(input, { seed }) {
        checkInput(kind, input, needs);
        const stream = new RandomStream(randomKey(seed, `partition ${kind}`));
        return finish(kind, input.numExamples, share(input as Parameters<typeof share>[0], options, stream));
      },
    };
  };
  return Object.assign(create, { kind, summary, needs, shape, check, example });
}

/** @throws {TypeError} or {RangeError} if something that is needed is missing, or isn't there for each example. */
function checkInput(kind: string, input: PartitionInput, needs: readonly PartitionNeed[]): void {
  const { numExamples, embeddings } = input;
  if (!Number.isSafeInteger(numExamples) || numExamples < 1) {
    throw new RangeError(
      `Cannot partition (${kind}): numExamples must be a positive integer, got ${numExamples}`,
    );
  }
  for (const need of needs) {
    if (input[need] === undefined) {
      throw new TypeError(`Cannot partition (${kind}): expected ${need} of the examples, got none`);
    }
  }
  for (const name of ["labels", "keys", "values"] as const) {
    const length = input[name]?.length;
    if (length !== undefined && length !== numExamples) {
      throw new RangeError(
        `Cannot partition (${kind}): expected ${name} of ${numExamples} examples, got ${length}`,
      );
    }
  }
  if (embeddings && embeddings.data.length !== numExamples * embeddings.size) {
    throw new RangeError(
      `Cannot partition (${kind}): expected embeddings of ${numExamples} examples with ${embeddings.size} numbers each, ` +
        `got ${embeddings.data.length} numbers`,
    );
  }
}

/** Sorts what each client holds, and finds what nobody does. */
function finish(kind: string, numExamples: number, clients: readonly number[][]): Partition {
  const held = new Uint8Array(numExamples);
  for (const [k, indices] of clients.entries()) {
    if (indices.length === 0) {
      throw new RangeError(`Cannot partition (${kind}): client ${k} would hold no example of ${numExamples}`);
    }
    indices.sort((a, b) => a - b);
    for (const i of indices) {
      if (held[i] !== 0) throw new Error(`Cannot partition (${kind}): example ${i} was given out twice`);
      held[i] = 1;
    }
  }
  const leftOut: number[] = [];
  held.forEach((holder, i) => holder === 0 && leftOut.push(i));
  return { clients, leftOut };
}
