import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { shareAlike } from "../../../src/data/partition/mod.ts";

test("shareAlike() shares each stratum out by what clients hold of it, and one that nobody holds by their sizes", () => {
  // Of a: 3 of 4 with the first client; of b: all with the second; of c nothing, so 4 of 6 and 2 of 6.
  const strata = ["a", "a", "a", "x", "a", "b"];
  const others = [..."aaaaaaaabbbcccccc"];
  const [first, second] = shareAlike([[0, 1, 2, 3], [4, 5]], { strata, others }, { seed: 1 });
  const count = (indices: number[], stratum: string) => indices.filter((i) => others[i] === stratum).length;
  assert.deepEqual(["a", "b", "c"].map((each) => count(first!, each)), [6, 0, 4]);
  assert.deepEqual(["a", "b", "c"].map((each) => count(second!, each)), [2, 3, 2]);
});

test("shareAlike() gives every example to one client, in proportion but for one each", () => {
  const clients = fc.array(fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(clients, fc.array(fc.nat(4), { maxLength: 60 }), fc.maxSafeNat(), (mixes, others, seed) => {
      let next = 0;
      const held = mixes.map((mix) => mix.map(() => next++));
      const strata = mixes.flat();
      const shared = shareAlike(held, { strata, others }, { seed });
      assert.equal(shared.length, held.length);
      assert.deepEqual(shared.flat().sort((a, b) => a - b), [...others.keys()]);
      for (const [k, indices] of shared.entries()) {
        assert.deepEqual(indices, indices.toSorted((a, b) => a - b));
        for (let s = 0; s < 4; s++) {
          const all = strata.filter((each) => each === s).length;
          if (all === 0) continue;
          const expected = mixes[k]!.filter((each) => each === s).length / all *
            others.filter((each) => each === s).length;
          const got = indices.filter((i) => others[i] === s).length;
          // Both ends of a client's part are rounded by at most a half.
          assert.ok(Math.abs(got - expected) <= 1 + 1e-9, `${got} ${expected}`);
        }
      }
      assert.deepEqual(shareAlike(held, { strata, others }, { seed }), shared);
    }),
  );
});

test("shareAlike() refuses clients that hold what has no stratum", () => {
  assert.throws(() => shareAlike([[0], [2]], { strata: ["a", "b"], others: [] }, { seed: 1 }), {
    name: "RangeError",
    message: "Cannot share alike: client 1 holds example 2, expected one of 2",
  });
});
