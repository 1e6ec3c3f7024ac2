import type { Tensor } from "../../engine/mod.ts";
import type { Client } from "../method.ts";
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
}

/** What an aggregator sees of the uploads: their sums alone, or each. */
export type AggregatorKind = "sum" | "each";

/**
 * The aggregation of one round. It is fed in the order of client numbers, whatever the order of arrival, so that no bit
 * depends on who trained beside whom.
 */
export interface Aggregator {
  /** Adds uploads; it keeps none of their tensors. */
  add(uploads: Uploads): void;
  /** The result; the caller disposes its tensors. */
  finish(): Aggregate;
  /** Frees what it holds, whether finished or given up. */
  dispose(): void;
}

/** Makes aggregators: one for each round. */
export interface AggregatorFactory {
  readonly name: string;
  readonly sees: AggregatorKind;
  /**
   * Starts the aggregation of a round.
   *
   * @param cohort the number of clients that are expected.
   */
  open(cohort: number): Aggregator;
}
