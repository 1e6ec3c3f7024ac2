import assert from "node:assert/strict";
import {
  type Aggregate,
  type AggregationContext,
  type Aggregator,
  type AggregatorFactory,
  isRefusal,
} from "../../src/fl/mod.ts";

/** Starts the aggregation of a round of so many clients. */
export function openAggregation(
  factory: AggregatorFactory,
  cohort: number,
  more: Partial<AggregationContext> = {},
): Aggregator {
  const clients = Array.from({ length: cohort }, (_, id) => ({ id, numExamples: 1, lastRound: 0 }));
  const shares = new Map(clients.map(({ id }) => [id, 1 / cohort]));
  return factory.open({ round: 1, seed: 1, cohort, clients, shares, start: new Map(), ...more });
}

/** What an aggregator gives that refuses nothing. */
export async function finishAggregation(aggregation: Aggregator): Promise<Aggregate> {
  const result = await aggregation.finish();
  assert.ok(!isRefusal(result), isRefusal(result) ? result.refused : "");
  return result;
}
