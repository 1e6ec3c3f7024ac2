import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LruMap } from "../../../src/engine/gpu/_lru.ts";

test("LruMap forgets the entry that was used longest ago, and never holds more than its capacity", () => {
  const cases = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.array(fc.nat({ max: 9 }), { maxLength: 80 }));
  fc.assert(fc.property(cases, ([capacity, keys]) => {
    const map = new LruMap<number, string>(capacity);
    // The model: keys from the oldest use to the newest.
    let held: number[] = [];
    for (const key of keys) {
      let made = false;
      const value = map.getOrCreate(key, () => {
        made = true;
        return `value ${key}`;
      });
      assert.equal(value, `value ${key}`);
      assert.equal(made, !held.includes(key));
      held = [...held.filter((each) => each !== key), key].slice(-capacity);
      assert.equal(map.size, held.length);
    }
  }));
});

test("LruMap keeps nothing of a key whose making failed", () => {
  const map = new LruMap<string, number>(1);
  map.getOrCreate("a", () => 1);
  assert.throws(() =>
    map.getOrCreate("b", () => {
      throw new Error("broken");
    })
  );
  assert.equal(map.size, 1);
  assert.equal(map.getOrCreate("a", () => 2), 1);
});
