import assert from "node:assert/strict";
import { test } from "node:test";
import { parseComparison } from "../../../src/experiment/compare/comparison_config.ts";

const minimal = {
  name: "mine",
  data: { kind: "spam-assassin" },
  partition: { kind: "dirichlet", numClients: 4, alpha: 1 },
  settings: [{ label: "even" }, { label: "skewed", partition: { kind: "iid", numClients: 4 } }, {
    label: "long",
    rounds: 9,
  }],
  methodDefaults: { rank: 2 },
  learningRates: [0.01, 0.1],
  methods: [{ method: "fedit" }, { method: "fedbf", learningRate: 0.5 }, {
    method: "federa",
    rank: 3,
    learningRates: [1],
    label: "mine",
  }],
  draws: 2,
  rounds: 2,
};

/** What a comparison is refused for. */
function problem(changes: object): string {
  try {
    parseComparison({ ...minimal, ...changes });
  } catch (error) {
    assert.equal((error as Error).name, "ConfigError");
    return (error as Error).message.split("\n").slice(1).map((line) => line.trim()).join("\n");
  }
  return "none";
}

test("parseComparison() gives each setting its changes, and methods the defaults that they have and their own rates", () => {
  const { settings, contenders, tuning, reference } = parseComparison(minimal);
  assert.deepEqual(
    settings.map(({ label, config: { partition, rounds } }) => [label, partition.kind, rounds]),
    [
      ["even", "dirichlet", 2],
      ["skewed", "iid", 2],
      ["long", "dirichlet", 9],
    ],
  );
  assert.deepEqual(
    contenders.map(({ label, method, learningRates }) => [label, method["rank"], learningRates]),
    [
      ["fedit", 2, [0.01, 0.1]],
      ["fedbf", undefined, [0.5]],
      ["mine", 3, [1]],
    ],
  );
  assert.deepEqual([tuning, reference], [
    { setting: "skewed", draw: 1001, seed: 1001, tolerance: 0 },
    "fedit",
  ]);
  assert.equal(parseComparison({ ...minimal, tuning: { setting: null } }).tuning.setting, null);
});

test("parseComparison() refuses by name, before anything is loaded", () => {
  assert.equal(problem({}), "none");
  const cases: [object, RegExp][] = [
    [{ settings: [{ label: "a" }, { label: "a" }] }, /^settings\[1\]\.label: "a" is there twice/],
    [{ settings: [{ label: "a", draws: 3 }] }, /^settings\[0\]\.draws: settings can't change it/],
    [{ settings: [{ label: "a", partition: { kind: "dirichlet" } }] }, /partition\.numClients: expected/],
    [{ settings: [{ label: "a", roundz: 3 }] }, /unknown key "roundz"; did you mean "rounds"/],
    [{ methods: [{ method: "fedix" }] }, /methods\[0\]\.method: expected .*did you mean "fedit"/],
    [{ methodDefaults: { rnk: 2 } }, /^methodDefaults\.rnk: none of the methods has this option/],
    [{ learningRates: undefined }, /^methods\[0\]: expected learningRates, here or for all/],
    [{ learningRates: [0.1, 0.01] }, /^learningRates: expected rates from the lowest/],
    [
      { methods: [{ method: "fedit", learningRate: 1, learningRates: [1] }] },
      /learningRate or learningRates, one/,
    ],
    [
      { methods: [{ method: "fedit", draws: [3] }] },
      /^methods\[0\]\.draws: expected some of the draws 1, 2, got 3/,
    ],
    [{ methods: [{ method: "fedit" }, { method: "fedit" }] }, /methods\[1\]: "fedit" is used twice/],
    [
      { reference: "fedra" },
      /^reference: expected "fedit" .*did you mean "federa"|^reference: expected "fedit"/,
    ],
    [{ tuning: { setting: "odd" } }, /^tuning\.setting: expected "even"/],
    [{ tuning: { draw: 2 } }, /^tuning\.draw: expected another one than those compared, got 2/],
    [{ tuning: { seed: 1 } }, /^tuning\.seed: expected another one/],
    [
      { data: { kind: "spam-assassin", validationShare: 0 } },
      /^data\.validationShare: expected a share above 0/,
    ],
    [{ evaluateOn: "validation" }, /^evaluateOn: a comparison tunes on validation/],
  ];
  for (const [changes, message] of cases) assert.match(problem(changes), message);
});
