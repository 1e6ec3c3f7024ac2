import assert from "node:assert/strict";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { readComparison } from "../../../src/experiment/compare/comparison_config.ts";
import { RecordStore } from "../../../src/experiment/compare/record_store.ts";
import { runComparison, type RunComparisonOptions } from "../../../src/experiment/compare/run_comparison.ts";
import type { UnitRecord } from "../../../src/experiment/compare/unit_record.ts";
import { testGpu } from "../../engine/harness.ts";
import { silent } from "../../support/silent_reporter.ts";
import { tinyBert, tinyProject } from "../../support/tiny_project.ts";

const gpu = await testGpu();
const { methods: _, ...base } = tinyBert;
const tiny = {
  ...base,
  data: { ...base.data, validationShare: 0.4 },
  rounds: 1,
  draws: 2,
  settings: [{ label: "even" }, { label: "long", rounds: 2 }],
  learningRates: [0.01, 0.1],
  methodDefaults: { rank: 2 },
  methods: [{ method: "fedit" }, { method: "local", learningRate: 0.1, clientScores: true }],
};

/** Runs a comparison in the folder of a project, which it makes if none is given. */
async function run(
  t: TestContext,
  config: object,
  { project, ...options }: Partial<RunComparisonOptions> & { readonly project?: string } = {},
) {
  const folder = project ?? await tinyProject(t);
  const path = join(folder, "comparison.json");
  await writeFile(path, JSON.stringify(config));
  const store = await RecordStore.open(join(folder, "records"), { shard: options.shard?.number });
  const held = gpu.stats().liveBytes;
  const begun: UnitRecord[] = [];
  const failures = await runComparison(await readComparison(path), gpu, {
    reporter: silent,
    store,
    onRecord: (record) => begun.push(record),
    ...options,
  }).finally(() => assert.equal(gpu.stats().liveBytes, held, "a comparison left something on the GPU"));
  return { folder, store, failures, begun };
}

/** Records without what depends on the clock, by key. */
function timeless(store: RecordStore): unknown[] {
  return store.all.map(({ seconds: _seconds, cpuSeconds: _cpu, ...record }) => record)
    .sort((a, b) => a.key < b.key ? -1 : 1);
}

/** A comparison that was left alone. */
let left: ReturnType<typeof run> | undefined;
const whole = (t: TestContext) => left ??= run(t, tiny);

test("runComparison() tunes, then runs all settings of a replicate, and again runs nothing", async (t) => {
  const { folder, store, begun, failures } = await whole(t);
  assert.deepEqual(failures, []);
  assert.deepEqual(begun.map(({ phase, label, setting, draw }) => `${phase} ${label} ${setting} ${draw}`), [
    "tuning fedit long 1001",
    "tuning fedit long 1001",
    "final fedit even 1",
    "final local even 1",
    "final fedit long 1",
    "final local long 1",
    "final fedit even 2",
    "final local even 2",
    "final fedit long 2",
    "final local long 2",
  ]);
  const [first] = begun;
  assert.deepEqual([first!.rounds.length, first!.rounds[0]!.test, first!.contents.testHash.length], [
    2,
    null,
    64,
  ]);
  assert.ok(begun.every((record) => record.rounds.at(-1)!.test!.scores["accuracy"]! >= 0));
  assert.deepEqual(
    begun.slice(2).map(({ isPersonal, rounds }) => isPersonal && rounds[0]!.clients !== undefined),
    [
      false,
      true,
      false,
      true,
      false,
      true,
      false,
      true,
    ],
  );
  const again = await run(t, tiny, { project: folder });
  assert.deepEqual(again.begun, []);
  assert.deepEqual(timeless(again.store), timeless(store));
});

test("runComparison() that was interrupted goes on to the same records; a changed rate recomputes what follows from it alone", async (t) => {
  const { store: expected } = await whole(t);
  const controller = new AbortController();
  const folder = await tinyProject(t);
  let seen = 0;
  await assert.rejects(
    run(t, tiny, {
      project: folder,
      signal: controller.signal,
      onRecord: () => ++seen === 3 && controller.abort(new Error("Enough")),
    }),
    { message: "Enough" },
  );
  // What a process leaves that is killed while it writes.
  await writeFile(join(folder, "records", "records.jsonl.0123456789ab.tmp"), '{"key":"ha');
  const rest = await run(t, tiny, { project: folder });
  assert.equal(rest.begun.length, 7);
  assert.deepEqual(timeless(rest.store), timeless(expected));
  const [fedit] = tiny.methods;
  const changed = await run(t, { ...tiny, methods: [fedit, { ...tiny.methods[1], learningRate: 0.2 }] }, {
    project: folder,
  });
  assert.deepEqual(
    new Set(changed.begun.map(({ label, learningRate }) => `${label} ${learningRate}`)),
    new Set(["local 0.2"]),
  );
  assert.equal(changed.begun.length, 4);
  const more = await run(t, {
    ...tiny,
    methods: [...tiny.methods, { method: "fedbf", learningRate: 0.1, draws: [2] }],
  }, {
    project: folder,
  });
  assert.deepEqual(more.begun.map(({ label, draw }) => `${label} ${draw}`), ["fedbf 2", "fedbf 2"]);
});

test("runComparison() in two processes shares methods out, and each reads what the other has", async (t) => {
  const { folder, begun } = await run(t, tiny, { shard: { number: 2, of: 2 } });
  assert.deepEqual(new Set(begun.map(({ label }) => label)), new Set(["local"]));
  const { store, begun: rest } = await run(t, tiny, { project: folder, shard: { number: 1, of: 2 } });
  assert.deepEqual(new Set(rest.map(({ label }) => label)), new Set(["fedit"]));
  assert.deepEqual(timeless(store), timeless((await whole(t)).store));
  assert.equal((await readFile(join(folder, "records", "records-2.jsonl"), "utf8")).split("\n").length, 5);
});

test("runComparison() records a rate that diverges, and goes on with another", async (t) => {
  const { failures, begun } = await run(t, {
    ...tiny,
    methodDefaults: {},
    settings: [{ label: "even" }],
    draws: 1,
    task: "regression",
    optimizer: { name: "sgd" },
    local: { steps: 6 },
    data: { ...tiny.data, columns: { value: "number" }, train: "numbers.jsonl", test: "numbers.jsonl" },
    methods: [{ method: "full", learningRates: [1e-3, 1e6] }],
  }, { project: await numbers(t) });
  assert.deepEqual(failures, []);
  const [calm, wild, final] = begun;
  assert.equal(calm!.diverged, undefined);
  assert.match(wild!.diverged!, /training loss is NaN/);
  assert.deepEqual([final!.phase, final!.learningRate], ["final", 1e-3]);
});

/** A tiny project with numbers to predict. */
async function numbers(t: TestContext): Promise<string> {
  const folder = await tinyProject(t);
  const lines = Array.from({ length: 12 }, (_, i) => JSON.stringify({ text: `number ${i}`, number: i / 3 }));
  await writeFile(join(folder, "numbers.jsonl"), lines.join("\n"));
  return folder;
}

test("runComparison() refuses to mix results of other data, and RecordStore a line that is no record", async (t) => {
  const { folder } = await run(t, { ...tiny, settings: [{ label: "even" }] });
  await appendFile(join(folder, "train.jsonl"), '{"text":"one more","label":"ham"}\n');
  const more = { ...tiny, settings: [{ label: "even" }], draws: 3 };
  await assert.rejects(run(t, more, { project: folder }), {
    name: "ResumeError",
    message: /^Cannot go on with this comparison: the examples to train on.* of setting "even" are others/,
  });
  await appendFile(join(folder, "records", "records.jsonl"), '{"key":\n');
  await assert.rejects(run(t, tiny, { project: folder }), {
    name: "CorruptFileError",
    message: /records\.jsonl: line 7 is no record of a comparison/,
  });
});
