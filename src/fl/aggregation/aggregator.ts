import type { Tensor } from "../../engine/mod.ts";
import type { Client } from "../method.ts";
import type { Companion } from "../legality.ts";
import type { Tensors } from "../tensors.ts";

/** What clients send, as the server has decoded it. */
export interface Uploads {
  readonly clients: readonly Client[];
  /** [C, ...] by name. */
  readonly values: Tensors;
  /** w_k, what each counts for: its share of the whole cohort's examples, or of its clients. */
  readonly shares: readonly number[];
  /** The same on the GPU, f32 [C]. */
  readonly weights: Tensor;
}

/** What the server has of a round. The caller owns its tensors. */
export interface Aggregate {
  readonly clients: readonly Client[];
  /** Weighted means, [...] by name. */
  readonly values: Tensors;
  /** The uploads one by one, where the aggregator sees each; their shares add up to one. */
  readonly each?: readonly Uploads[];
  /** What else the aggregation tells of the round, beside what measures find. */
  readonly figures?: Readonly<Record<string, number>>;
  readonly traffic?: Traffic;
}

/** Bytes of messages that an aggregation takes beside the uploads, as masked sums do. */
export interface Traffic {
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** Why a round has no aggregate, such as too few uploads for the rule; the global model then stays as it is. */
export interface Refusal {
  readonly refused: string;
  readonly traffic?: Traffic;
}

/** Whether there is no aggregate. */
export function isRefusal(result: Aggregate | Refusal): result is Refusal {
  return "refused" in result;
}

/** What an aggregator is told of a round before its first upload. */
export interface AggregationContext {
  readonly round: number;
  /** Of the run. */
  readonly seed: number;
  /** The number of clients that are expected. */
  readonly cohort: number;
  /** These clients, in the order of their numbers; some may be lost. */
  readonly clients: readonly Client[];
  /** What each of them counts for, by its number: its share of the cohort's examples, or of its clients. */
  readonly shares: ReadonlyMap<number, number>;
  /** Global values of what is shared at the start of the round, [...]; an upload of the same name is a value of it. */
  readonly start: Tensors;
}

/** What an aggregator sees of the uploads: their sums alone, or each. */
export type AggregatorKind = "sum" | "each";

/**
 * The aggregation of one round. It is fed in the order of client numbers, whatever the order of arrival, so that no bit
 * depends on who trained beside whom.
 */
export interface Aggregator {
  /** Adds uploads; it keeps none of their tensors, and is called again once it's done. */
  add(uploads: Uploads): void | Promise<void>;
  /** The result, whose tensors the caller disposes; or why there is none. */
  finish(): Aggregate | Refusal | Promise<Aggregate | Refusal>;
  /** Frees what it holds, whether finished or given up. */
  dispose(): void;
}

/** Makes aggregators: one for each round. */
export interface AggregatorFactory {
  readonly name: string;
  /** What it brings to a run, for the check of what goes together. */
  readonly brings?: Companion;
  readonly sees: AggregatorKind;
  /**
   * Checks that it works for as many clients as each round asks.
   *
   * @throws {RangeError} when they are too few, with what would do.
   */
  check?(cohort: number): void;
  /** Starts the aggregation of a round. */
  open(context: AggregationContext): Aggregator;
}
