import { z } from "zod";
import type { Clock } from "./clock.ts";

const positive = z.number().gt(0).max(1e15);
/** Of the median client, or of each. */
const ofClients = z.union(
  [positive, z.array(positive).min(1)],
  "expected a positive number, or a list of one for each client",
);

const clockSchema = z.strictObject({
  /** Simulated seconds of a local step: of the median client, or of each. */
  secondsPerStep: ofClients.default(0.1),
  /** By how much clients differ in speed: the standard deviation of its logarithm; 0 for alike. A list has its own. */
  speedSpread: z.number().min(0).max(5).default(0.5),
  /** Bytes that a client gets or sends in a second: the median one, or each. */
  bytesPerSecond: ofClients.default(1e6),
  /** The same for bandwidths. */
  bandwidthSpread: z.number().min(0).max(5).default(0.5),
});

const common = {
  /** M: clients that train at a time; by default as many as a synchronous round asks. */
  inFlight: z.int().min(1).max(1e7).optional(),
  clock: clockSchema.prefault({}),
};

/** Options of asynchrony in a simulation, with their ranges and defaults. */
export const asynchronySchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("fedbuff"),
    ...common,
    /** K: changes that the server waits for before it moves, up to `inFlight`. */
    bufferSize: z.int().min(1).max(1e7).default(10),
    /** η: by what the mean of the changes is multiplied. */
    serverLearningRate: z.number().gt(0).max(1e6).default(1),
  }),
  z.strictObject({
    kind: z.literal("fedasync"),
    ...common,
    /** a: the share that the values of a client without delay have of the next global model. */
    mixing: z.number().gt(0).max(1).default(0.6),
  }),
]);

/** Options of asynchrony, checked. */
export type AsynchronyOptions = z.output<typeof asynchronySchema>;
/** Options of asynchrony as people write them. */
export type AsynchronyInput = z.input<typeof asynchronySchema>;
/** Speeds and bandwidths of the clients. */
export type ClockOptions = z.output<typeof clockSchema>;

/** Asynchrony as a federation runs it. */
export interface Asynchrony {
  readonly kind: AsynchronyOptions["kind"];
  /** M: clients that train at a time. */
  readonly inFlight: number;
  /** K: arrivals of an update; 1 for FedAsync. */
  readonly bufferSize: number;
  /** η of FedBuff, or a of FedAsync. */
  readonly rate: number;
  readonly clock: Clock;
}

/**
 * M, K and the rate of some options.
 *
 * @param options.numClients of the whole federation.
 * @param options.clientsPerRound M where the options leave it open.
 * @throws {RangeError} when more are in flight than there are, or the buffer is never full.
 */
export function sizesOf(
  options: AsynchronyOptions,
  { numClients, clientsPerRound = numClients }: {
    readonly numClients: number;
    readonly clientsPerRound?: number | undefined;
  },
): Omit<Asynchrony, "clock"> {
  const { kind, inFlight = clientsPerRound } = options;
  const [bufferSize, rate] = kind === "fedbuff"
    ? [options.bufferSize, options.serverLearningRate]
    : [1, options.mixing];
  if (inFlight > numClients) {
    throw new RangeError(
      `Cannot run ${kind} with inFlight ${inFlight}: expected at most the ${numClients} clients there are`,
    );
  }
  if (bufferSize > inFlight) {
    throw new RangeError(
      `Cannot run ${kind} with bufferSize ${bufferSize}: expected at most inFlight, ${inFlight}, as the buffer would never be full`,
    );
  }
  return { kind, inFlight, bufferSize, rate };
}
