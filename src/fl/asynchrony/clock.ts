import { randomKey, RandomStream } from "../../engine/mod.ts";
import type { ClockOptions } from "./options.ts";

/** One turn of a client: what it downloads, its local steps, and what it sends. */
export interface Turn {
  /** The client's number. */
  readonly client: number;
  readonly bytesDown: number;
  readonly bytesUp: number;
}

/** How long a client's turn takes, in simulated seconds. */
export type Clock = (turn: Turn) => number;

/** What a clock must know of a federation. */
export interface ClockContext {
  readonly seed: number;
  /** Local steps that each client takes. */
  readonly steps: readonly number[];
}

/**
 * A clock on which a turn of client k takes steps_k · s_k + (bytes down + bytes up)/b_k seconds. Where the options give one s or b for
 * all, it is the median client's, and client k has it times e^(spread·z) with z standard normal, drawn by (seed, k); a list is taken as it is.
 *
 * @throws {RangeError} when a list isn't of as many clients as there are.
 */
export function createClock(options: ClockOptions, { seed, steps }: ClockContext): Clock {
  const { secondsPerStep, speedSpread, bytesPerSecond, bandwidthSpread } = options;
  const each = (name: string, given: number | readonly number[], spread: number): readonly number[] => {
    if (typeof given === "number") {
      return steps.map((_, client) =>
        given * Math.exp(spread * new RandomStream(randomKey(seed, name, client)).normal())
      );
    }
    if (given.length === steps.length) return given;
    throw new RangeError(
      `Cannot set the clock: expected ${name} of ${steps.length} clients, got ${given.length}`,
    );
  };
  const seconds = each("secondsPerStep", secondsPerStep, speedSpread);
  const bandwidths = each("bytesPerSecond", bytesPerSecond, bandwidthSpread);
  return ({ client, bytesDown, bytesUp }) =>
    steps[client]! * seconds[client]! + (bytesDown + bytesUp) / bandwidths[client]!;
}
