import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { methods } from "../../../src/fl/mod.ts";
import { methodLabel } from "../../../src/experiment/config/config.ts";
import { demoConfig } from "../../../src/cli/demo/demo.ts";
import { ConfigError, parseConfig, readConfig } from "../../../src/experiment/config/parse_config.ts";

const minimal = {
  name: "mine",
  data: { kind: "spam-assassin" },
  partition: { kind: "iid", numClients: 4 },
  methods: [{ method: "fedit", learningRate: 0.01 }],
  rounds: 2,
};

/** The problems that a configuration is refused for, one a line. */
function problemsOf(value: unknown): string[] {
  try {
    parseConfig(value);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message.split("\n").slice(1).map((line) => line.trim());
  }
  return [];
}

test("parseConfig() fills in the defaults", () => {
  const config = parseConfig(minimal);
  assert.deepEqual(config.data, { kind: "spam-assassin", validationShare: 0.1, testShare: 0.2 });
  assert.deepEqual(config.methods[0], {
    method: "fedit",
    learningRate: 0.01,
    rank: 8,
    alpha: 8,
  });
  assert.deepEqual([config.seed, config.local, config.optimizer.name, config.output], [
    1,
    { epochs: 1 },
    "adamw",
    "runs",
  ]);
});

test("parseConfig() takes a block size or auto, checkpointing and a limit of memory", () => {
  const { blockSize, checkpointing, maxGpuBytes } = parseConfig(minimal);
  assert.deepEqual([blockSize, checkpointing, maxGpuBytes], [8, false, undefined]);
  const set = { blockSize: "auto", checkpointing: true, maxGpuBytes: 1e9 };
  assert.deepEqual({ ...parseConfig(minimal), ...set }, parseConfig({ ...minimal, ...set }));
  for (const wrong of ["most", 1.5]) {
    assert.deepEqual(problemsOf({ ...minimal, blockSize: wrong }), [
      'blockSize: expected a positive whole number or "auto"',
    ]);
  }
});

test("parseConfig() takes secure aggregation for all methods or some, and says what is wrong with it", () => {
  const { secureAggregation, measures } = parseConfig({ ...minimal, secureAggregation: true });
  assert.deepEqual(secureAggregation, { clippingRange: 8, quantizationRange: 2 ** 22 });
  assert.deepEqual(measures, ["weight-variation"]);
  assert.deepEqual(parseConfig(minimal).measures, ["aggregation-error", "weight-variation"]);
  assert.equal(parseConfig({ ...minimal, secureAggregation: false }).measures.length, 2);
  const methods = [{ ...minimal.methods[0], secureAggregation: { neighbors: 4, dropouts: { vector: 0.1 } } }];
  const own = parseConfig({ ...minimal, methods });
  assert.deepEqual(own.methods[0]!.secureAggregation, {
    neighbors: 4,
    dropouts: { vector: 0.1 },
    clippingRange: 8,
    quantizationRange: 2 ** 22,
  });
  assert.deepEqual(own.measures, ["weight-variation"]);
  assert.deepEqual(problemsOf({ ...minimal, secureAggregation: true, measures: ["client-dispersion"] }), [
    "measures.0: client-dispersion looks at the upload of each client, and secure aggregation hides them: leave it out",
  ]);
  for (
    const wrong of [
      { neighbors: 3 },
      { threshold: 0.4 },
      { dropouts: { vectors: 0.1 } },
      { neighbours: 4 },
      "yes",
    ]
  ) {
    assert.equal(problemsOf({ ...minimal, secureAggregation: wrong }).length, 1, JSON.stringify(wrong));
  }
});

test("parseConfig() takes an asynchronous server for all methods or some, and says what is wrong with it", () => {
  const fedbuff = { kind: "fedbuff", bufferSize: 5 };
  const { asynchrony, measures } = parseConfig({ ...minimal, asynchrony: fedbuff });
  const clock = { secondsPerStep: 0.1, speedSpread: 0.5, bytesPerSecond: 1e6, bandwidthSpread: 0.5 };
  assert.deepEqual(asynchrony, { ...fedbuff, serverLearningRate: 1, clock });
  assert.deepEqual(measures, ["weight-variation"]);
  const [method] = minimal.methods;
  const own = parseConfig({
    ...minimal,
    asynchrony: fedbuff,
    methods: [{ ...method, asynchrony: { kind: "fedasync", mixing: 0.5 } }, { ...method, asynchrony: false }],
  });
  assert.deepEqual(own.methods.map((each) => each.asynchrony), [
    { kind: "fedasync", mixing: 0.5, clock },
    false,
  ]);
  assert.deepEqual(own.methods.map(methodLabel), [`fedasync-${method!.method}`, method!.method]);
  assert.deepEqual(problemsOf({ ...minimal, asynchrony: fedbuff, measures: ["aggregation-error"] }), [
    "measures.0: aggregation-error looks at the upload of each client, and those of an asynchronous update are of several models: leave it out",
  ]);
  for (
    const wrong of [
      true,
      { kind: "fedbuf" },
      { kind: "fedbuff", bufferSize: 0 },
      { kind: "fedbuff", mixing: 0.5 },
      { kind: "fedasync", mixing: 1.5 },
      { kind: "fedasync", clock: { secondsPerStep: 0 } },
      { kind: "fedasync", clock: { bytesPerSecond: [1, -1] } },
    ]
  ) {
    assert.equal(problemsOf({ ...minimal, asynchrony: wrong }).length, 1, JSON.stringify(wrong));
  }
});

test("parseConfig() takes a codec by its name or with its options, and says what is wrong with it", () => {
  const codecOf = (codec: unknown) => parseConfig({ ...minimal, codec }).codec;
  assert.deepEqual(parseConfig(minimal).codec, { name: "f32" });
  assert.deepEqual(codecOf("int8"), { name: "int8" });
  assert.deepEqual(codecOf("topk"), { name: "topk", share: 0.01 });
  assert.deepEqual(codecOf({ name: "topk", share: 0.25 }), { name: "topk", share: 0.25 });
  const names = '"f32" or "f16" or "bf16" or "int8" or "int4" or "topk"';
  for (
    const [codec, problem] of [
      ["int9", `codec.name: expected ${names}, got "int9"; did you mean "int8"?`],
      [{}, `codec.name: expected ${names}, got nothing`],
      [{ name: "topk", share: 0 }, "codec.share: expected more than 0, got 0"],
      [{ name: "topk", shre: 0.1 }, 'codec: unknown key "shre"; did you mean "share"?'],
      [{ name: "int8", share: 0.1 }, 'codec: unknown key "share"; known are name'],
    ] as const
  ) {
    assert.deepEqual(problemsOf({ ...minimal, codec }), [problem]);
  }
});

test("parseConfig() names the nearest known key of a misspelt one, wherever it is", () => {
  assert.deepEqual(problemsOf({ ...minimal, clientPerRound: 2 }), [
    'top level: unknown key "clientPerRound"; did you mean "clientsPerRound"?',
  ]);
  assert.deepEqual(problemsOf({ ...minimal, methods: [{ method: "fedit", learningRate: 1, rnak: 4 }] }), [
    'methods[0]: unknown key "rnak"; did you mean "rank"?',
  ]);
  assert.deepEqual(problemsOf({ ...minimal, optimizer: { name: "sgd", momentun: 0.9 } }), [
    'optimizer: unknown key "momentun"; did you mean "momentum"?',
  ]);
});

test("parseConfig() lists the known keys where none is near", () => {
  assert.deepEqual(problemsOf({ ...minimal, partition: { kind: "iid", numClients: 4, zzzzzz: 1 } }), [
    'partition: unknown key "zzzzzz"; known are kind, numClients, labelPermutation',
  ]);
});

const names = [...methods.values()].flatMap(({ definition: { name, aliases = [] } }) => [name, ...aliases]);

test("parseConfig() tells all problems at once, each with its place and what was expected", () => {
  const problems = problemsOf({
    ...minimal,
    rounds: 2.5,
    partition: { kind: "dirichlet", numClients: "many", alpha: 0, minSize: 0 },
    methods: [{ method: "fedra", learningRate: 0.1 }, { method: "federa", learningRate: 0.1, svd: "slow" }],
    optimizer: { name: "adam" },
  });
  assert.deepEqual(problems, [
    'partition.numClients: expected a number, got "many"',
    "partition.alpha: expected more than 0, got 0",
    "partition.minSize: expected at least 1, got 0",
    `methods[0].method: expected ${names.map((name) => `"${name}"`).join(" or ")}, got "fedra"; ` +
    'did you mean "federa"?',
    'methods[1].svd: expected "randomized" or "exact", got "slow"',
    "rounds: expected a whole number, got 2.5",
    'optimizer.name: expected "adamw" or "sgd", got "adam"; did you mean "adamw"?',
  ]);
});

test("parseConfig() refuses what fits no schema", () => {
  assert.deepEqual(problemsOf(3), ["top level: expected an object, got 3"]);
  assert.deepEqual(problemsOf({ ...minimal, local: { epochs: 1, steps: 2 } }), [
    "local: expected epochs or steps, one of them",
  ]);
  assert.deepEqual(problemsOf({ ...minimal, methods: [...minimal.methods, ...minimal.methods] }), [
    'methods[1]: "fedit" is used twice: give one of them a label',
  ]);
  assert.deepEqual(
    problemsOf({ ...minimal, methods: [{ method: "federa", learningRate: 1, rank: 0, alpha: -1 }] }),
    [
      "methods[0].rank: expected at least 1, got 0",
      "methods[0].alpha: expected more than 0, got -1",
    ],
  );
  assert.deepEqual(problemsOf({ ...minimal, name: "../elsewhere" }), [
    "name: expected letters, digits, dots, dashes and underscores, no dot in front",
  ]);
});

test("parseConfig() takes draws and seeds by their number or as a list, and refuses one that is there twice", () => {
  const { draws, seeds } = parseConfig({ ...minimal, draws: 3, seeds: [7, 1] });
  assert.deepEqual([draws, seeds], [3, [7, 1]]);
  assert.deepEqual(problemsOf({ ...minimal, draws: 0, seeds: [] }), [
    "draws: expected at least 1, got 0",
    "seeds: expected at least 1 entry, got []",
  ]);
  assert.deepEqual(problemsOf({ ...minimal, draws: [-1], seeds: "many" }), [
    "draws[0]: expected at least 0, got -1",
    "seeds: expected how many, from 1 to 1000, or a list of seeds",
  ]);
  assert.deepEqual(problemsOf({ ...minimal, draws: [1, 2, 1], seeds: 2, seed: 2 ** 53 - 1 }), [
    "draws: 1 is there twice",
    "seeds: expected seeds up to 2^53 - 1, got 2 from 9007199254740991: lower seed",
  ]);
});

test("parseConfig() refuses names that a file system won't take, and sizes beyond any run", () => {
  const labels = ["NUL", "com1.txt", "end.", "summary.json", "x".repeat(101)];
  const methods = labels.map((label) => ({ method: "fedit", learningRate: 0.1, label }));
  assert.deepEqual(problemsOf({ ...minimal, methods }), [
    'methods[0].label: "NUL" is the name of a device on Windows: choose another',
    'methods[1].label: "com1.txt" is the name of a device on Windows: choose another',
    'methods[2].label: "end." ends with a dot, which Windows drops: choose another',
    'methods[3].label: "summary.json" is the name of a file that the run writes: choose another',
    "methods[4].label: expected at most 100 characters",
  ]);
  const twice = ["a", "A"].map((label) => ({ method: "fedit", learningRate: 0.1, label }));
  assert.deepEqual(problemsOf({ ...minimal, methods: twice }), [
    'methods[1]: "A" is used twice: give one of them a label',
  ]);
  assert.deepEqual(
    problemsOf({
      ...minimal,
      rounds: 1e15,
      batchSize: 1e9,
      maxLength: 1e9,
      partition: { kind: "iid", numClients: 1e9 },
      methods: [{ method: "fedit", learningRate: 0.1, rank: 1e6 }],
      output: "a\0b",
    }),
    [
      "maxLength: expected at most 1000000, got 1000000000",
      "partition.numClients: expected at most 10000000, got 1000000000",
      "methods[0].rank: expected at most 65536, got 1000000",
      "rounds: expected at most 1000000, got 1000000000000000",
      "batchSize: expected at most 65536, got 1000000000",
      "output: a path must not contain NUL characters",
    ],
  );
});

test("parseConfig() takes the demonstration, whose methods differ in nothing but the learning rate", () => {
  const { methods, partition } = parseConfig(demoConfig());
  assert.deepEqual(methods.map(({ method }) => method), ["fedit", "federa"]);
  const [first, second] = methods.map(({ method: _, learningRate: __, svd: ___, ...rest }) => rest);
  assert.deepEqual(first, second);
  assert.ok(partition.kind === "dirichlet" && partition.alpha === 0.3 && partition.numClients >= 20);
});

test("readConfig() resolves data beside the file and says what is wrong with it", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "federa-config-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "config.json");
  await assert.rejects(readConfig(path), {
    name: "ConfigError",
    message: /^Cannot read .*config\.json: ENOENT/,
  });
  await writeFile(path, '{"name": ');
  await assert.rejects(readConfig(path), {
    name: "ConfigError",
    message: /not proper JSON, line 1: it ends/,
  });
  await writeFile(path, '{"rounds": 1,\n"rounds": 2}');
  await assert.rejects(readConfig(path), {
    message: /line 2: the key "rounds" is there twice: leave one out$/,
  });
  await writeFile(path, " ");
  await assert.rejects(readConfig(path), { message: /it is empty, expected JSON$/ });
  await writeFile(path, Uint8Array.from([0x22, 0xe9, 0x22]));
  await assert.rejects(readConfig(path), { message: /line 1 of .*config\.json: 0xe9 .* isn't UTF-8/ });
  await assert.rejects(readConfig(folder), {
    message: /: it is a folder; give the configuration's file in it$/,
  });
  const written = Buffer.from(`\ufeff${JSON.stringify(minimal)}`, "utf16le");
  for (const bytes of [written, Buffer.from(written).swap16()]) {
    await writeFile(path, bytes);
    assert.equal((await readConfig(path)).name, "mine");
  }
  await writeFile(
    path,
    JSON.stringify({ ...minimal, data: { kind: "files", train: "a.jsonl", test: "/b.jsonl" } }),
  );
  const { data } = await readConfig(path);
  assert.ok(data.kind === "files");
  assert.deepEqual([data.train, data.test], [join(folder, "a.jsonl"), "/b.jsonl"]);
});

test("parseConfig() counts what a limit counts, and names what JSON has no word for", () => {
  const wrong = { ...minimal, methods: [], output: "", checkpointing: "true", clipNorm: Infinity };
  assert.deepEqual(problemsOf(wrong), [
    "methods: expected at least 1 entry, got []",
    'checkpointing: expected true or false, got "true"',
    "clipNorm: expected a number, got Infinity",
    'output: expected at least 1 character, got ""',
  ]);
});

test("parseConfig() refuses a warm-up longer than the run, and a label that is named twice", () => {
  const warm = (warmupRounds: number) => ({ ...minimal, schedule: { kind: "linear", warmupRounds } });
  assert.deepEqual(problemsOf(warm(3)), ["schedule.warmupRounds: expected at most rounds (2), got 3"]);
  assert.deepEqual(problemsOf(warm(2)), []);
  const data = { kind: "files", train: "a.jsonl", labels: ["a", "b", "a"] };
  assert.deepEqual(problemsOf({ ...minimal, data }), ['data.labels: "a" is there twice']);
});

test("parseConfig() takes the former name of blockSize, but not both", () => {
  assert.equal(parseConfig({ ...minimal, cohortSize: 5 }).blockSize, 5);
  assert.throws(
    () => parseConfig({ ...minimal, cohortSize: 5, blockSize: 3 }),
    /cohortSize: it is the former name of blockSize/,
  );
});
