import { z } from "zod";
import type { RandomStream } from "../../engine/random.ts";
import { checkClients } from "./check_clients.ts";
import { alphaOption, clientsOption, countOption } from "./option_schemas.ts";
import type { RefuseOption } from "./partitioner.ts";

/** Units of data of the client with a number from 1 up. */
const growth = {
  linear: (number: number): number => number,
  square: (number: number): number => number * number,
  exponential: (number: number): number => Math.exp(number),
} as const;

/** How sizes may grow with the client's number. */
export type Growth = keyof typeof growth;

/**
 * Sizes in proportion to the client's number from 1 up, its square, or e to its power, as Flower's partitioners of these names
 * have them: shares are rounded down, and the last client gets what is left.
 *
 * @throws {RangeError} if a client would hold nothing.
 *
 * @example
 * ```ts no-run
 * growingSizes(100, 4, "linear"); // [10, 20, 30, 40]
 * ```
 */
export function growingSizes(numExamples: number, numClients: number, kind: Growth): number[] {
  checkClients(numExamples, numClients);
  const units = Array.from({ length: numClients }, (_, k) => growth[kind](k + 1));
  const total = units.reduce((a, b) => a + b);
  const sizes = units.map((unit) => Math.trunc(unit / total * numExamples));
  // NaN where powers of e are infinite.
  if (!sizes.slice(0, -1).every((size) => size >= 1)) {
    throw new RangeError(
      `Cannot partition: expected at least 1 example for each client, got 0 for the first of ${numClients} ` +
        `with ${kind} sizes of ${numExamples} examples; lower numClients`,
    );
  }
  const given = sizes.slice(0, -1).reduce((a, b) => a + b, 0);
  return [...sizes.slice(0, -1), numExamples - given];
}

/** Sizes of clients: a list, a rule, or shares drawn from a Dirichlet distribution. */
export const sizesOption = z.union([
  z.array(countOption).min(1),
  z.enum(["equal", "linear", "square", "exponential"]),
  z.strictObject({ alpha: alphaOption, minSize: countOption.default(1) }),
]);

/** Options that say how many examples each client gets. */
export const sizesShape = {
  /** As many as sizes, if these are a list. */
  numClients: clientsOption.optional(),
  sizes: sizesOption,
} as const;

type SizesOptions = z.output<z.ZodObject<typeof sizesShape, z.core.$strict>>;

/** Refuses a number of clients that the sizes contradict, or need. */
export function checkSizes({ numClients, sizes }: SizesOptions, refuse: RefuseOption): void {
  if (!Array.isArray(sizes)) {
    if (numClients === undefined) refuse("numClients", "expected a number, got nothing");
  } else if (numClients !== undefined && numClients !== sizes.length) {
    refuse("sizes", `expected ${numClients} sizes, as many as numClients, got ${sizes.length}`);
  }
}

/**
 * How many examples each client gets.
 *
 * @throws {RangeError} if that is more than there are, or nothing for a client.
 */
export function sizesOf(
  numExamples: number,
  { numClients, sizes }: SizesOptions,
  stream: RandomStream,
): number[] {
  if (Array.isArray(sizes)) {
    const total = sizes.reduce((a, b) => a + b);
    if (total <= numExamples) return sizes;
    throw new RangeError(
      `Cannot partition: expected sizes that sum to at most ${numExamples} examples, got ${total}`,
    );
  }
  const count = numClients!;
  if (typeof sizes === "object") return drawnSizes(numExamples, { numClients: count, ...sizes }, stream);
  if (sizes !== "equal") return growingSizes(numExamples, count, sizes);
  checkClients(numExamples, count);
  const [size, larger] = [Math.floor(numExamples / count), numExamples % count];
  return Array.from({ length: count }, (_, k) => k < larger ? size + 1 : size);
}

/** Each client has its minimum, and a share of the rest from Dirichlet(alpha), rounded so that all are given out. */
function drawnSizes(
  numExamples: number,
  { numClients, alpha, minSize }: { numClients: number; alpha: number; minSize: number },
  stream: RandomStream,
): number[] {
  checkClients(numExamples, numClients, minSize);
  const rest = numExamples - numClients * minSize;
  let [total, given] = [0, 0];
  return Array.from(stream.dirichlet(alpha, numClients), (share, k) => {
    total += share;
    const end = k === numClients - 1 ? rest : Math.min(rest, Math.round(total * rest));
    const size = minSize + end - given;
    given = end;
    return size;
  });
}
