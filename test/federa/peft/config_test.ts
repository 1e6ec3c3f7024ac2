import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { parsePeftConfig, UnsupportedAdapterError } from "../../../src/federa/mod.ts";
import { cpuClock } from "../../support/cpu_clock.ts";

const layer = "bert.encoder.layer.1.attention.self.query";

/** What Python says, see test/golden/peft/patterns.py. */
const golden = JSON.parse(
  await readFile(join(import.meta.dirname, "../../golden/peft/patterns.json"), "utf8"),
) as {
  readonly names: readonly string[];
  /** Numbers of the names that match a pattern as a whole, and as a key. */
  readonly patterns: readonly (readonly [string, readonly [number[], number[]] | null])[];
  readonly layers: readonly string[];
  readonly targets: readonly (readonly [Record<string, unknown>, number[]])[];
};

function problemsOf(value: unknown): string[] {
  try {
    parsePeftConfig(value);
  } catch (error) {
    assert.ok(error instanceof UnsupportedAdapterError);
    const [first, ...problems] = error.message.split("\n  ");
    assert.equal(first, "Cannot load an adapter by its adapter_config.json:");
    return problems;
  }
  return [];
}

test("parsePeftConfig() takes PEFT's defaults where nothing is said", () => {
  const { settingsOf, targets, ...rest } = parsePeftConfig({ peft_type: "LORA" });
  assert.equal(targets(layer), undefined);
  assert.deepEqual(settingsOf(layer), { rank: 8, scaling: 1 });
  assert.deepEqual(rest, {
    taskType: undefined,
    baseClass: undefined,
    baseModel: undefined,
    revision: undefined,
    useDora: false,
    isPissa: false,
    modulesToSave: [],
  });
});

test("parsePeftConfig() scales by alpha/r, or alpha/√r where stabilised", () => {
  const plain = { peft_type: "LORA", r: 4, lora_alpha: 10 };
  assert.deepEqual(parsePeftConfig(plain).settingsOf(layer), { rank: 4, scaling: 2.5 });
  assert.deepEqual(parsePeftConfig({ ...plain, use_rslora: true }).settingsOf(layer), {
    rank: 4,
    scaling: 5,
  });
});

// Expected by PEFT's own rule, re.match(rf"(.*\.)?({key})$", name), the first key winning.
test("parsePeftConfig() matches patterns at the end of a name, after a dot, the first one winning", () => {
  const rankOf = (rank_pattern: Record<string, number>, name = layer) =>
    parsePeftConfig({ peft_type: "LORA", r: 1, rank_pattern }).settingsOf(name).rank;
  assert.equal(rankOf({ query: 2 }), 2);
  assert.equal(rankOf({ uery: 2 }), 1);
  assert.equal(rankOf({ "self.quer": 2 }), 1);
  assert.equal(rankOf({ "self.(key|query)": 2, query: 3 }), 2);
  assert.equal(rankOf({ "layer\\.[0-1]\\..*": 2 }), 2);
  assert.equal(rankOf({ "(?P<i>layer.\\d+).attention.self.query": 2 }), 2);
  assert.equal(rankOf({ [layer]: 2 }), 2);
  assert.equal(rankOf({ query: 2 }, "query"), 2);
  assert.equal(rankOf({ key: 5, "a|query": 3 }), 3);
});

test("parsePeftConfig() refuses keys that RE2 doesn't know, or that mean another thing to it", () => {
  const of = (key: string) => problemsOf({ peft_type: "LORA", alpha_pattern: { [key]: 1 } }).join();
  assert.equal(of("(a+)+"), "");
  assert.match(of("(?=a)b"), /^alpha_pattern "\(\?=a\)b": it isn't understood at character 1$/);
  assert.match(of(`${"a".repeat(1000)}*`), /1000 characters, got 1001/);
  assert.match(of("(a{99}){99}"), /it repeats too much/);
  assert.match(of("a++"), /there is nothing to repeat at character 3/);
  for (const key of ["(", "a{,2", "(?i)a", "\\p{L}", "\\1", "[[:alpha:]]", "[a"]) {
    assert.match(of(key), /isn't understood/, key);
  }
});

test("parsePeftConfig() matches in linear time whatever would take an engine that backtracks for ever", () => {
  const hard = ["(\\w|.)".repeat(32), "(a|a|aa)+".repeat(8), "(.*)*".repeat(8), "(\\w+)*!"];
  const config = parsePeftConfig({
    peft_type: "LORA",
    r: 1,
    rank_pattern: Object.fromEntries(hard.map((key) => [`${key}!`, 2])),
    target_modules: `(${hard.join("|")})!`,
  });
  const name = "a".repeat(60);
  const seconds = cpuClock();
  assert.equal(config.settingsOf(name).rank, 1);
  assert.equal(config.targets(name), false);
  assert.equal(config.settingsOf(`${name}!`).rank, 2);
  assert.ok(seconds() < 5);
});

test("parsePeftConfig() takes thousands of names as keys, and few patterns", () => {
  const of = (end: string, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`layer.${i}.query${end}`, i + 1]));
  const { settingsOf } = parsePeftConfig({ peft_type: "LORA", rank_pattern: of("", 5000) });
  assert.equal(settingsOf("encoder.layer.4999.query").rank, 5000);
  assert.equal(settingsOf("encoder.layer.5000.query").rank, 8);
  assert.match(
    problemsOf({ peft_type: "LORA", rank_pattern: of(".*", 257) }).join(),
    /^rank_pattern it may have at most 256 keys that are patterns$/,
  );
  assert.match(
    problemsOf({ peft_type: "LORA", alpha_pattern: of("", 10_001) }).join(),
    /^alpha_pattern it may have at most 10000 keys, got 10001$/,
  );
});

test("parsePeftConfig() reads patterns as Python does, or refuses them", () => {
  const refused = { python: 0, here: 0 };
  for (const [pattern, expected] of golden.patterns) {
    const read = () => {
      try {
        return parsePeftConfig({ peft_type: "LORA", r: 1, rank_pattern: { [pattern]: 2 } });
      } catch (error) {
        assert.ok(error instanceof UnsupportedAdapterError);
        return undefined;
      }
    };
    const config = read();
    if (expected === null) {
      assert.equal(config, undefined, pattern);
      refused.python++;
    } else if (config === undefined) refused.here++;
    else {
      const found = (matches: (name: string) => boolean | undefined) =>
        golden.names.flatMap((name, i) => matches(name) ? [i] : []);
      const { targets } = parsePeftConfig({ peft_type: "LORA", target_modules: pattern });
      assert.deepEqual(
        [found(targets), found((name) => config.settingsOf(name).rank === 2)],
        expected,
        pattern,
      );
    }
  }
  // Of some patterns only Python knows what they mean: possessive ones, those that look ahead, and so on.
  assert.ok(refused.python > 100 && refused.here < 200, JSON.stringify(refused));
});

test("parsePeftConfig() chooses the layers that PEFT does", () => {
  for (const [fields, expected] of golden.targets) {
    const { targets } = parsePeftConfig({ peft_type: "LORA", ...fields });
    const found = golden.layers.flatMap((name, i) => targets(name) ? [i] : []);
    assert.deepEqual(found, expected, JSON.stringify(fields));
  }
  for (const target_modules of [undefined, null, "all-linear", "(?!x)query"]) {
    assert.equal(parsePeftConfig({ peft_type: "LORA", target_modules }).targets("query"), undefined);
  }
  const { targets } = parsePeftConfig({ peft_type: "LORA", task_type: "SEQ_CLS", target_modules: ["dense"] });
  assert.deepEqual(["bert.pooler.dense", "classifier.dense"].map(targets), [true, false]);
});

test("parsePeftConfig() lists everything that isn't supported, known or unknown, and passes over what is off", () => {
  const problems = problemsOf({
    peft_type: "LORA",
    r: 2,
    fan_in_fan_out: true,
    ensure_weight_tying: true,
    velora_config: { scale: 2 },
    use_qalora: true,
    layer_replication: [[0, 2]],
    trainable_token_indices: [1],
    lora_bias: true,
    alora_invocation_tokens: [5],
    target_parameters: ["w"],
    megatron_config: { a: 1 },
    arrow_config: { top_k: 3 },
    constructor: true,
    invented: 7,
    use_bdlora: null,
    kasa_config: {},
    exclude_modules: ["classifier"],
    layers_to_transform: [1],
    lora_dropout: 0.5,
    qalora_group_size: 16,
    megatron_core: "megatron.core",
  });
  assert.deepEqual(problems.map((problem) => problem.split(" = ")[0]), [
    "use_qalora",
    "layer_replication",
    "trainable_token_indices",
    "lora_bias",
    "alora_invocation_tokens",
    "target_parameters",
    "megatron_config",
    "arrow_config",
    "constructor",
    "invented",
  ]);
  assert.equal(problems[0], "use_qalora = true: it changes what the adapter computes, and isn't supported");
  assert.match(problems[9]!, /^invented = 7: the field is unknown; .*remove it$/);
});

test("parsePeftConfig() refuses other kinds of adapters and wrong values, all at once", () => {
  const problems = problemsOf({
    peft_type: "IA3",
    r: 0,
    lora_alpha: -1,
    bias: "some",
    rank_pattern: { query: 1.5 },
    modules_to_save: "classifier",
  });
  for (
    const field of [
      "peft_type",
      "r",
      "lora_alpha",
      "bias",
      "rank_pattern.query",
      "modules_to_save",
    ]
  ) {
    assert.ok(problems.some((problem) => problem.startsWith(`${field}: `)), field);
  }
  assert.equal(problems[0], 'peft_type: only adapters of LORA are read, got "IA3"');
  assert.equal(problemsOf([]).length, 1);
});

test("parsePeftConfig() tells starts that changed the base from those that didn't", () => {
  const start = (init_lora_weights: unknown) => problemsOf({ peft_type: "LORA", init_lora_weights }).join();
  for (const innocent of [true, false, null, "gaussian", "eva", "orthogonal", "mica", "pissa"]) {
    assert.equal(start(innocent), "");
  }
  for (const changing of ["pissa_niter_4", "olora", "corda", "loftq", "lora_ga", "new"]) {
    assert.match(start(changing), /path_initial_model_for_weight_conversion/);
  }
  assert.ok(parsePeftConfig({ peft_type: "LORA", init_lora_weights: "pissa" }).isPissa);
});
