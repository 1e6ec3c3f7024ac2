import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePeftConfig, UnsupportedAdapterError } from "../../../src/federa/mod.ts";

const layer = "bert.encoder.layer.1.attention.self.query";

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
  const { settingsOf, ...rest } = parsePeftConfig({ peft_type: "LORA" });
  assert.deepEqual(settingsOf(layer), { rank: 8, scaling: 1 });
  assert.deepEqual(rest, {
    taskType: undefined,
    baseModel: undefined,
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

test("parsePeftConfig() refuses patterns that would take for ever, or that mean another thing elsewhere", () => {
  const of = (key: string) => problemsOf({ peft_type: "LORA", alpha_pattern: { [key]: 1 } }).join();
  assert.match(of("(a+)+"), /^alpha_pattern "\(a\+\)\+": it repeats a group$/);
  assert.match(of(".*.*.*.*.*"), /more than 4 repetitions/);
  assert.match(of("a".repeat(1001)), /1000 characters, got 1001/);
  for (const key of ["(", "a\\Z", "a{,2}", "(?i)a", "a++", "\\p{L}"]) {
    assert.match(of(key), /isn't understood/);
  }
});

test("parsePeftConfig() lists everything that isn't built, known or unknown, and passes over what is off", () => {
  const problems = problemsOf({
    peft_type: "LORA",
    r: 2,
    fan_in_fan_out: false,
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
    ensure_weight_tying: false,
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
  assert.match(problems[9]!, /^invented = 7: not built; .*remove the field$/);
});

test("parsePeftConfig() refuses other kinds of adapters and wrong values, all at once", () => {
  const problems = problemsOf({
    peft_type: "IA3",
    r: 0,
    lora_alpha: -1,
    fan_in_fan_out: true,
    bias: "some",
    rank_pattern: { query: 1.5 },
    modules_to_save: "classifier",
  });
  for (
    const field of [
      "peft_type",
      "r",
      "lora_alpha",
      "fan_in_fan_out",
      "bias",
      "rank_pattern.query",
      "modules_to_save",
    ]
  ) {
    assert.ok(problems.some((problem) => problem.startsWith(`${field}: `)), field);
  }
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
