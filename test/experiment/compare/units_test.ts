import assert from "node:assert/strict";
import { test } from "node:test";
import { parseComparison } from "../../../src/experiment/compare/comparison_config.ts";
import {
  finalPlaces,
  finalUnit,
  tuningSettings,
  tuningUnits,
} from "../../../src/experiment/compare/units.ts";

const given = {
  name: "mine",
  model: { source: "a/model", pooling: "mean" },
  data: { kind: "files", train: "a.jsonl" },
  partition: { kind: "dirichlet", numClients: 4, alpha: 1 },
  settings: [{ label: "even" }, { label: "short", rounds: 1 }],
  methods: [{ method: "fedit", rank: 2, learningRates: [0.1, 0.2] }, {
    method: "fedbf",
    learningRates: [0.1, 0.3],
  }],
  draws: 2,
  seeds: 2,
  rounds: 2,
};

/** Keys of everything that may be run, by what it is. */
function keys(changes: object = {}): Map<string, string> {
  const comparison = parseComparison({ ...given, ...changes });
  const units = comparison.contenders.flatMap((contender) => [
    ...tuningSettings(comparison).flatMap((setting) => tuningUnits(comparison, contender, setting)),
    ...finalPlaces(comparison).flatMap(({ setting, replicate }) =>
      contender.learningRates.map((learningRate) =>
        finalUnit({ contender, setting, ...replicate, learningRate })
      )
    ),
  ]);
  return new Map(
    units.map((
      { phase, contender: { method }, setting, draw, seed, learningRate, key },
    ) => [[phase, method.method, setting.label, draw, seed, learningRate].join(" "), key]),
  );
}

const before = keys();

/** What has another key than before, or is new. */
function changed(changes: object): string[] {
  return [...keys(changes)].filter(([what, key]) => before.get(what) !== key).map(([what]) => what);
}

test("every unit has a key of its own", () => {
  assert.equal(before.size, 2 * (2 + 2 * 4 * 2));
  assert.equal(new Set(before.values()).size, before.size);
});

test("finalPlaces() has all settings of a replicate before the next", () => {
  assert.deepEqual(
    finalPlaces(parseComparison(given)).map(({ setting, replicate: { draw, seed } }) =>
      `${draw} ${seed} ${setting.label}`
    ),
    ["1 1 even", "1 1 short", "1 2 even", "1 2 short", "2 1 even", "2 1 short", "2 2 even", "2 2 short"],
  );
});

test("keys stay where names, places, memory and what is read off change", () => {
  for (
    const changes of [
      { name: "other", output: "elsewhere" },
      { model: { source: "other/model", pooling: "mean" }, data: { kind: "files", train: "b.jsonl" } },
      { blockSize: "auto", checkpointing: true, maxGpuBytes: 1e9 },
      { target: { value: 0.5 }, targets: [0.5], byteBudgets: [1e6], reference: "fedbf" },
      { draws: 2, seeds: [1, 2] },
      { methods: [{ ...given.methods[0], label: "renamed" }, given.methods[1]] },
      { settings: [given.settings[0], { ...given.settings[1] }] },
    ]
  ) assert.deepEqual(changed(changes), []);
});

test("a changed option changes the keys of what follows from it, and no others", () => {
  const [fedit, fedbf] = given.methods;
  assert.deepEqual(
    changed({ methods: [fedit, { ...fedbf, learningRates: [0.1, 0.5] }] }).map((what) =>
      what.replace(/.* (\S+)$/, "$1")
    ),
    Array.from({ length: 9 }, () => "0.5"),
  );
  assert.ok(changed({ methods: [{ ...fedit, rank: 4 }, fedbf] }).every((what) => what.includes("fedit")));
  assert.equal(changed({ methods: [{ ...fedit, rank: 4 }, fedbf] }).length, 18);
  assert.ok(
    changed({ settings: [given.settings[0], { label: "short", rounds: 1, batchSize: 4 }] })
      .every((what) => what.includes("short")),
  );
  assert.deepEqual(
    changed({ seeds: [1, 5] }).every((what) => what.startsWith("final") && what.includes(" 5 ")),
    true,
  );
  // Rates are chosen by the score after the last round.
  assert.ok(changed({ evaluateEvery: 2 }).every((what) => what.startsWith("final")));
  for (const more of [{ seed: 7 }, { maxLength: 9 }, { model: { source: "a/model", pooling: "cls" } }]) {
    assert.equal(changed(more).length, before.size);
  }
});
