import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BestSpans, type ScoredSpan } from "../../../../src/tasks/kinds/questions/_best_spans.ts";

/** The best of all, sorted at the end: each span once with its best score, and ties by when that was first offered. */
function bestOf(offers: readonly ScoredSpan[], capacity: number): ScoredSpan[] {
  const once = offers.filter((span, i) =>
    offers.every((other, k) =>
      other.start !== span.start || other.end !== span.end || other.score < span.score ||
      other.score === span.score && k >= i
    )
  );
  return once.sort((a, b) => b.score - a.score).slice(0, capacity);
}

test("BestSpans keeps what sorting all would put first, ties in their order", () => {
  const span = fc.record({
    start: fc.nat({ max: 2 }),
    end: fc.integer({ min: 3, max: 5 }),
    score: fc.nat({ max: 6 }),
  });
  fc.assert(
    fc.property(
      fc.array(span, { maxLength: 30 }),
      fc.integer({ min: 1, max: 9 }),
      (offers, capacity) => {
        const best = new BestSpans(capacity);
        offers.forEach((each) => {
          const before = [...best.spans];
          const takes = best.takes(each.score);
          best.offer(each);
          if (!takes) assert.deepEqual(best.spans, before);
        });
        assert.deepEqual(best.spans, bestOf(offers, capacity));
      },
    ),
    { numRuns: 500 },
  );
});
