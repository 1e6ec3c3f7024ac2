import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { tensor } from "../../../src/engine/mod.ts";
import { importPeft, openPeftAdapter, parsePeftConfig } from "../../../src/federa/mod.ts";
import { encodeSafetensors, readSafetensors, type StoredTensor } from "../../../src/models/mod.ts";
import { classification, multiLabelClassification, tokenClassification } from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { folderFiles } from "../../support/folder_files.ts";
import { fuzz } from "../../support/fuzz.ts";
import { loadHubTaskModel } from "../../support/hub_task_model.ts";
import { memoryWeights } from "../../support/memory_weights.ts";
import { mutateBytes, mutateJson } from "../../support/mutate.ts";

const golden = join(import.meta.dirname, "../../golden/peft");
const gpu = await testGpu();
const labels = ["a", "b", "c"];
const { model: pretrained, family } = await loadHubTaskModel(
  gpu,
  join(golden, "base"),
  classification({ labels }),
);
const folder = await mkdtemp(join(tmpdir(), "federa-peft-"));
after(() => rm(folder, { recursive: true }));

const prefix = "base_model.model.";
const query = `${prefix}bert.encoder.layer.0.attention.self.query`;

interface Change {
  readonly from?: string;
  readonly config?: Record<string, unknown>;
  /** Tensors to put in, or undefined to take out, by name. */
  readonly tensors?: Record<string, StoredTensor | undefined>;
}

/** Loads a golden adapter after changes. */
async function load({ from = "lora", config = {}, tensors = {} }: Change) {
  const at = (name: string) => join(golden, "adapters", from, name);
  const found = readSafetensors(await readFile(at("adapter_model.safetensors"))).tensors;
  for (const [name, changed] of Object.entries(tensors)) {
    if (changed) found.set(name, changed);
    else assert.ok(found.delete(name), name);
  }
  const json = JSON.parse(await readFile(at("adapter_config.json"), "utf8"));
  const adapter = {
    source: "somewhere",
    config: parsePeftConfig({ ...json, ...config }),
    weights: memoryWeights(found),
  };
  return await importPeft(pretrained, adapter, { family });
}

function f32(...shape: number[]): StoredTensor {
  return {
    dtype: "F32",
    shape,
    data: new Float32Array(shape.reduce((size, side) => size * side, 1)).fill(1),
  };
}

/** That an import fails with a message, and without leaving memory behind. */
async function refuses(change: Change, name: string, message: RegExp): Promise<void> {
  const before = gpu.stats().liveBytes;
  await assert.rejects(load(change), { name, message });
  assert.equal(gpu.stats().liveBytes, before);
}

describe("importPeft() of broken or foreign adapters", () => {
  test("importPeft() lists tensors that contradict each other", async () => {
    await refuses(
      {
        tensors: {
          "query.lora_A.weight": f32(2, 2),
          [`${query}.lora_A.weight`]: undefined,
          [`${prefix}a.lora_A.weight`]: f32(2, 12),
          [`${prefix}a.lora_B.weight`]: f32(12, 3),
          [`${prefix}b.lora_embedding_A`]: f32(1),
          [`${prefix}c.lora_magnitude_vector`]: f32(12),
          [`${prefix}d.weight`]: { dtype: "I32", shape: [1], data: Int32Array.of(1) },
        },
      },
      "CorruptFileError",
      new RegExp(
        [
          'adapter of somewhere:\n  tensor "query.lora_A.weight" must begin with base_model\\.model\\.',
          ".*lora_embedding_A\" is a part of adapters that isn't supported",
          'layer ".*query" lacks lora_A\\.weight',
          'layer "c" lacks lora_A\\.weight and lora_B\\.weight',
          'factors of "a" must be \\[r, in\\] and \\[out, r\\], got \\[2, 12\\] and \\[12, 3\\]',
          'layer "c" has a lora_magnitude_vector, and use_dora is off',
          "must be F32, F16, BF16, got I32$",
        ].join("[^]*\n  .*"),
      ),
    );
  });

  test("importPeft() wants DoRA's lengths where they should be, one for each row", async () => {
    await refuses({ config: { use_dora: true } }, "CorruptFileError", /lacks lora_magnitude_vector/);
    await refuses(
      { from: "dora", tensors: { [`${query}.lora_magnitude_vector`]: f32(11) } },
      "CorruptFileError",
      /lora_magnitude_vector of ".*query" must be \[12\], got \[11\]/,
    );
  });

  test("importPeft() lists what the model lacks or has in another shape", async () => {
    const other = `${prefix}bert.encoder.layer.7.attention.self.query`;
    await refuses(
      {
        config: { r: 3, task_type: "TOKEN_CLS" },
        tensors: {
          [`${other}.lora_A.weight`]: f32(2, 12),
          [`${other}.lora_B.weight`]: f32(12, 2),
          [`${query}.lora_A.weight`]: f32(2, 13),
          [`${prefix}classifier.weight`]: f32(5, 12),
          [`${prefix}classifier.bias`]: undefined,
          [`${prefix}score.weight`]: f32(1),
        },
      },
      "AdapterMismatchError",
      new RegExp(
        [
          "task_type TOKEN_CLS, and the model is one of SEQ_CLS",
          "weight of bert.*query must be \\[12, 13\\], got \\[12, 12\\]",
          "factors of .* are of rank 2, and its configuration says 3",
          'no linear layer "bert.encoder.layer.7.attention.self.query"',
          "classifier.weight must be \\[3, 12\\], got \\[5, 12\\]",
          'no parameter "score.weight"',
          "base_model.model.classifier.bias is missing",
        ].map((part) => `(?=[^]*${part})`).join(""),
      ),
    );
  });

  test("importPeft() wants adapters of the layers that the configuration chooses, and no others", async () => {
    const value = "bert.encoder.layer.1.attention.self.value";
    await refuses(
      {
        tensors: {
          [`${prefix}${value}.lora_A.weight`]: undefined,
          [`${prefix}${value}.lora_B.weight`]: undefined,
        },
      },
      "AdapterMismatchError",
      new RegExp(`target_modules selects "${value}", but the file has no adapter for it$`),
    );
    await refuses(
      { config: { exclude_modules: "bert.encoder.layer.1.*value" } },
      "AdapterMismatchError",
      new RegExp(
        `the file has an adapter for "${value}", which target_modules and the related fields don't select$`,
      ),
    );
    await refuses(
      { from: "encoder_only", config: { target_modules: ["query", "value", "attention.output.dense"] } },
      "AdapterMismatchError",
      /target_modules selects "encoder\.layer\.0\.attention\.output\.dense", but .*\n.*"encoder\.layer\.1\.att/,
    );
  });

  test("importPeft() refuses copies of a module's tensors without the tensors", async () => {
    await refuses(
      { tensors: { [`${prefix}bert.pooler.modules_to_save.dense.bias`]: f32(12) } },
      "CorruptFileError",
      /"base_model\.model\.bert\.pooler\.modules_to_save\.dense\.bias" is present, but ".*bert\.pooler\.dense\.bias" is missing$/,
    );
  });

  test("importPeft() refuses a layer that is there twice", async () => {
    await refuses(
      {
        tensors: {
          [`${query.replace("bert.", "")}.lora_A.weight`]: f32(2, 12),
          [`${query.replace("bert.", "")}.lora_B.weight`]: f32(12, 2),
        },
      },
      "AdapterMismatchError",
      /encoder\.encoder\.layer\.0\.attention\.self\.query is there twice/,
    );
  });

  test("importPeft() says what to do where a conversion of PiSSA left the head out", async () => {
    const config = { modules_to_save: ["classifier", "score"] };
    await refuses(
      { from: "pissa_converted", config },
      "AdapterMismatchError",
      /classifier\.weight is missing .*as it was before/,
    );
  });

  test("importPeft() refuses numbers that are none", async () => {
    const bad = { dtype: "F32", shape: [2, 12], data: new Float32Array(24).fill(NaN, 5, 6) } as const;
    await refuses(
      { tensors: { [`${query}.lora_A.weight`]: bad } },
      "CorruptFileError",
      /element 5 of ".*query\.lora_A\.weight" is NaN/,
    );
  });

  test("importPeft() refuses DoRA's row that is longer than float32 can say", async () => {
    const huge = { dtype: "F32", shape: [2, 12], data: new Float32Array(24).fill(3e38) } as const;
    await refuses(
      { from: "dora", tensors: { [`${query}.lora_A.weight`]: huge } },
      "CorruptFileError",
      /row 0 of encoder\..*query.* length Infinity/,
    );
  });

  test("importPeft() refuses PiSSA of more triplets than there are", async () => {
    await refuses(
      {
        from: "pissa",
        config: { rank_pattern: { "layer.0.attention.self.query": 13 } },
        tensors: { [`${query}.lora_A.weight`]: f32(13, 12), [`${query}.lora_B.weight`]: f32(12, 13) },
      },
      "UnsupportedAdapterError",
      /Cannot take 13 singular triplets out of encoder\..*query \[12, 12\]: there are 12/,
    );
  });

  test("importPeft() refuses PiSSA of a weight whose singular values don't tell its start", async () => {
    const alike = pretrained.mapParameters((name, each) =>
      name === "encoder.encoder.layer.0.attention.self.query.weight"
        ? tensor(gpu, Float32Array.from({ length: 144 }, (_, i) => i % 13 === 0 ? 1 : 0), { shape: [12, 12] })
        : each
    );
    const adapter = await openPeftAdapter(folderFiles(join(golden, "adapters/pissa")));
    await assert.rejects(importPeft(alike, adapter, { family }), {
      name: "UnsupportedAdapterError",
      message: /singular values 2 and 3, 1 and 1, are too close; convert the adapter/,
    });
    await adapter.weights.close();
  });

  test("importPeft() refuses a task that the adapter wasn't made for, but not a sibling of it", async () => {
    const adapter = await openPeftAdapter(folderFiles(join(golden, "adapters/lora")));
    const tags = tokenClassification({ labels: ["O", "B-a", "I-a"] });
    const token = await loadHubTaskModel(gpu, join(golden, "base"), tags);
    await assert.rejects(importPeft(token.model, adapter, { family }), {
      name: "AdapterMismatchError",
      message: /task_type SEQ_CLS, and the model is one of TOKEN_CLS/,
    });
    const several = await loadHubTaskModel(gpu, join(golden, "base"), multiLabelClassification({ labels }));
    assert.equal((await importPeft(several.model, adapter, { family })).layers.length, 4);
    await adapter.weights.close();
  });
});

describe("openPeftAdapter()", () => {
  test("openPeftAdapter() refuses what isn't there, and a pickle with advice", async () => {
    const files = folderFiles(folder);
    await assert.rejects(openPeftAdapter(files), {
      name: "WeightsUnavailableError",
      message: /no adapter_config\.json/,
    });
    await writeFile(join(folder, "adapter_config.json"), '{"peft_type": "LORA"}');
    await assert.rejects(openPeftAdapter(files), {
      name: "WeightsUnavailableError",
      message: /no adapter_model\.safetensors$/,
    });
    await writeFile(join(folder, "adapter_model.bin"), "");
    await assert.rejects(openPeftAdapter(files), {
      name: "WeightsUnavailableError",
      message: /only adapter_model\.bin, a Python pickle[^]*torch\.load/,
    });
  });

  test("openPeftAdapter() and importPeft() read mutated files or refuse them by name", async () => {
    const at = (kind: string, name: string) => readFile(join(golden, "adapters", kind, name));
    const kinds = ["lora", "dora", "patterns", "bias_all"];
    const [configPath, weightsPath] = ["adapter_config.json", "adapter_model.safetensors"].map((name) =>
      join(folder, name)
    ) as [string, string];
    const attempt = async () => {
      const adapter = await openPeftAdapter(folderFiles(folder));
      try {
        const { model } = await importPeft(pretrained, adapter, { family });
        const shared = new Set([...pretrained.namedParameters()].map(([, each]) => each));
        for (const [, each] of model.namedParameters()) if (!shared.has(each)) each.dispose();
      } finally {
        await adapter.weights.close();
      }
    };
    const errors = ["CorruptFileError", "UnsupportedAdapterError", "AdapterMismatchError"];
    const before = gpu.stats().liveBytes;
    for (const kind of kinds) {
      await writeFile(weightsPath, await at(kind, "adapter_model.safetensors"));
      await fuzz(`adapter_config.json of ${kind}`, async (bytes) => {
        await writeFile(configPath, bytes);
        await attempt();
      }, { corpus: [await at(kind, "adapter_config.json")], mutate: mutateJson, errors, runs: 60 });
      await writeFile(configPath, await at(kind, "adapter_config.json"));
      await fuzz(`adapter_model.safetensors of ${kind}`, async (bytes) => {
        await writeFile(weightsPath, bytes);
        await attempt();
      }, { corpus: [await at(kind, "adapter_model.safetensors")], mutate: mutateBytes, errors, runs: 60 });
    }
    assert.equal(gpu.stats().liveBytes, before);
  });

  test("openPeftAdapter() takes half precision, and names of odd characters end in an error", async () => {
    const name = `${prefix}bert\u0000\ud800`;
    await writeFile(join(folder, "adapter_config.json"), '{"peft_type": "LORA", "r": 1}');
    const tensors = new Map<string, StoredTensor>([
      [`${name}.lora_A.weight`, { dtype: "BF16", shape: [1, 1], data: Uint16Array.of(0) }],
      [`${name}.lora_B.weight`, { dtype: "F16", shape: [1, 1], data: Uint16Array.of(0) }],
    ]);
    await writeFile(join(folder, "adapter_model.safetensors"), encodeSafetensors(tensors));
    const adapter = await openPeftAdapter(folderFiles(folder));
    await assert.rejects(importPeft(pretrained, adapter, { family }), { name: "AdapterMismatchError" });
    await adapter.weights.close();
  });
});
