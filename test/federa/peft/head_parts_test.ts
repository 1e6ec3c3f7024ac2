import assert from "node:assert/strict";
import { test } from "node:test";
import { importPeft, parsePeftConfig, wholeParameters } from "../../../src/federa/mod.ts";
import { encodeSafetensors, type StoredTensor } from "../../../src/models/mod.ts";
import { classification, openTaskModel } from "../../../src/tasks/mod.ts";
import { run, testGpu } from "../../engine/harness.ts";
import { assertClose } from "../../support/compare.ts";
import { GoldenEncoder } from "../../support/golden_encoder.ts";
import { memoryWeights } from "../../support/memory_weights.ts";
import { temporaryFiles } from "../../support/temporary_files.ts";

const gpu = await testGpu();
const task = classification({ labels: ["a", "b", "c"] });

interface Parts {
  /** A model of the golden encoders. */
  readonly name: string;
  /** The layers that are adapted: by nothing, as B is zero. */
  readonly target: string;
  /** Which tensors the adapter holds whole. */
  readonly held: (name: string) => boolean;
  /** Which tensors the base has; all but those that the adapter holds by default. */
  readonly kept?: (name: string) => boolean;
}

/** The logits of a golden model whose head is held by two: an adapter of PEFT's, and the base's checkpoint. */
async function logitsOf({ name, target, held, kept = (name) => !held(name) }: Parts) {
  const golden = new GoldenEncoder(new URL(`../../golden/encoders/${name}.safetensors`, import.meta.url));
  const files = await temporaryFiles({
    "config.json": golden.config as object,
    "model.safetensors": encodeSafetensors(new Map([...golden.checkpoint].filter(([name]) => kept(name)))),
  });
  const tensors = new Map<string, StoredTensor>();
  for (const [name, stored] of golden.checkpoint) {
    if (held(name)) tensors.set(`base_model.model.${name}`, stored);
    const [, layer] = new RegExp(`^(.+\\.${target})\\.weight$`).exec(name) ?? [];
    if (layer === undefined) continue;
    const [out, width] = stored.shape as [number, number];
    for (const [part, shape] of [["A", [1, width]], ["B", [out, 1]]] as const) {
      const data = new Float32Array(shape[0] * shape[1]).fill(part === "A" ? 1 : 0);
      tensors.set(`base_model.model.${layer}.lora_${part}.weight`, { dtype: "F32", shape, data });
    }
  }
  const adapter = {
    source: "ADAPTER",
    config: parsePeftConfig({ peft_type: "LORA", task_type: "SEQ_CLS", r: 1, target_modules: [target] }),
    weights: memoryWeights(tensors),
  };
  const head = { source: adapter.source, ...wholeParameters(adapter) };
  const { model: pretrained, family } = await openTaskModel(gpu, files, { task, head })
    .catch((error: Error) => {
      error.message = error.message.replace(files.source, "BASE");
      throw error;
    });
  const { model } = await importPeft(pretrained, adapter, { family });
  return {
    found: await run(gpu, () => model.forward(golden.tokens(gpu))),
    expected: golden.values("logits"),
  };
}

const isLast = (name: string) => /^classifier\.(weight|bias|out_proj\.\w+)$/.test(name);

test("parts of a head that PEFT left out of an adapter come from the base", async () => {
  const cases: Parts[] = [
    { name: "deberta_v2_b", target: "query_proj", held: isLast },
    { name: "distilbert_b", target: "q_lin", held: isLast },
    { name: "roberta_b", target: "query", held: isLast },
    { name: "electra_b", target: "query", held: isLast },
    { name: "bert_b", target: "query", held: isLast },
    { name: "bert_b", target: "query", held: () => false },
  ];
  for (const each of cases) {
    const { found, expected } = await logitsOf(each);
    assertClose(found, expected, { absolute: 1e-4 });
  }
});

test("parts of a head that both hold are the adapter's, and may be missing in the base", async () => {
  const held = (name: string) => isLast(name) || name.includes("pooler.dense") || name.startsWith("pre_");
  for (
    const [name, target] of [["deberta_v2_b", "query_proj"], ["distilbert_b", "q_lin"], ["bert_b", "query"]]
  ) {
    for (const kept of [() => true, (name: string) => !held(name)]) {
      const { found, expected } = await logitsOf({ name: name!, target: target!, held, kept });
      assertClose(found, expected, { absolute: 1e-4 });
    }
  }
});

test("parts of a head that neither adapter nor base hold are refused by name", async () => {
  const cases: [Parts, string, string][] = [
    [{ name: "deberta_v2_b", target: "query_proj", held: isLast }, "pooler.dense", '["pooler","classifier"]'],
    [
      { name: "distilbert_b", target: "q_lin", held: isLast },
      "pre_classifier",
      '["pre_classifier","classifier"]',
    ],
    [{ name: "bert_b", target: "query", held: isLast }, "bert.pooler.dense", '["pooler","classifier"]'],
  ];
  for (const [parts, lost, modules] of cases) {
    const kept = (name: string) => !isLast(name) && !name.startsWith(lost);
    await assert.rejects(logitsOf({ ...parts, kept }), {
      name: "ParameterMismatchError",
      message:
        `Cannot use BASE as the base of ADAPTER: ${lost}.weight [12, 12] is missing, ${lost}.bias [12] is missing; ` +
        "what is missing is in neither of them: it was random when the adapter was trained, and wasn't saved with it; " +
        `train it again with modules_to_save=${modules}`,
    });
  }
});
