import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkLegality,
  type Companion,
  companions,
  companionsOf,
  fedIt,
  flexLora,
  meanAggregator,
  type MethodFacts,
  type Stage,
  whyClashing,
  whyUnsound,
} from "../../src/fl/mod.ts";

const all = Object.keys(companions) as Companion[];
const masks: Stage = { name: "masks", hidesClients: true };

test("whyUnsound() lets a method that averages go with everything, and one that sees each with what leaves uploads alone", () => {
  const unsound = (method: MethodFacts) => all.filter((each) => whyUnsound(method, each) !== undefined);
  assert.deepEqual(unsound({ name: "mean" }), []);
  assert.deepEqual(unsound({ name: "each", sees: "each" }), [
    "robustAggregation",
    "differentialPrivacy",
    "secureAggregation",
    "asynchrony",
  ]);
  assert.deepEqual(unsound({ name: "more", sendsOtherwise: true }), ["robustAggregation", "asynchrony"]);
  assert.deepEqual(unsound({ name: "others", coordinates: "renewed" }), ["errorFeedback", "asynchrony"]);
  assert.deepEqual(unsound({ name: "turned", coordinates: "turned" }), ["asynchrony"]);
  assert.deepEqual(unsound({ name: "own", unsoundWith: { asynchrony: "it alternates: take fedit" } }), [
    "asynchrony",
  ]);
});

test("whyClashing() takes pairs in either order, and never a companion with itself", () => {
  for (const one of all) {
    assert.equal(whyClashing(one, one), undefined);
    for (const other of all) assert.equal(whyClashing(one, other), whyClashing(other, one));
  }
  assert.match(whyClashing("lossyCodec", "secureAggregation")!, /take codec f32$/);
  assert.equal(whyClashing("differentialPrivacy", "secureAggregation"), undefined);
  assert.equal(whyClashing("lossyCodec", "robustAggregation"), undefined);
});

test("checkLegality() names every pair that doesn't go together, why, and what would do", () => {
  checkLegality(fedIt(), companionsOf({ method: fedIt(), stages: [masks], aggregator: meanAggregator }));
  assert.throws(
    () => checkLegality(flexLora(), companionsOf({ method: flexLora(), stages: [masks] })),
    new TypeError(
      "Cannot run flexlora with masks: the server gets the sum alone, and it looks at the upload of each client: " +
        "take a method that averages, such as fedit",
    ),
  );
  const method = flexLora({ ranks: [1, 2] });
  const chosen = companionsOf({
    method,
    stages: [masks],
    codec: { name: "int8", lossless: false, feedback: false },
  });
  assert.throws(() => checkLegality(method, chosen), {
    name: "TypeError",
    message:
      /^Cannot run these together:\n {2}flexlora with masks: .*\n {2}clients of different ranks with masks: .*\n {2}codec int8 with masks: /,
  });
});
