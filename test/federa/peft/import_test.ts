import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { add, type Tensor, tensor } from "../../../src/engine/mod.ts";
import {
  adaptersOf,
  attachAdapters,
  DoraLinear,
  exportLora,
  exportPeft,
  federa,
  importPeft,
  lora,
  merge,
  openPeftAdapter,
  parsePeftConfig,
  type PeftAdapter,
} from "../../../src/federa/mod.ts";
import { encodeSafetensors, readSafetensors, toFloat32 } from "../../../src/models/mod.ts";
import { classification } from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { folderFiles } from "../../support/folder_files.ts";
import { loadHubTaskModel } from "../../support/hub_task_model.ts";
import { Random } from "../../support/random.ts";

const golden = join(import.meta.dirname, "../../golden/peft");
const gpu = await testGpu();
const task = classification({ labels: ["a", "b", "c"] });
const { model: pretrained, family } = await loadHubTaskModel(gpu, join(golden, "base"), task);
const { tensors: outputs } = readSafetensors(await readFile(join(golden, "outputs.safetensors")));
const tokens = {
  inputIds: tensor(gpu, Uint32Array.from(outputs.get("ids")!.data as BigInt64Array, Number), {
    shape: [3, 7],
  }),
  attentionMask: tensor(gpu, Float32Array.from(outputs.get("mask")!.data as BigInt64Array, Number), {
    shape: [3, 7],
  }),
};

async function logitsOf(model: typeof pretrained): Promise<Float32Array> {
  return await (model.forward(tokens) as Tensor).floats();
}

async function open(name: string): Promise<PeftAdapter> {
  const adapter = await openPeftAdapter(folderFiles(join(golden, "adapters", name)));
  after(() => adapter.weights.close());
  return adapter;
}

function assertClose(found: Float32Array, expected: Float32Array, tolerance: number): void {
  found.forEach((value, i) =>
    assert.ok(
      Math.abs(value - expected[i]!) <= tolerance,
      `output ${i} must be ${expected[i]}, got ${value}`,
    )
  );
}

function noise({ shape, size }: Tensor, random: Random): Tensor {
  return tensor(gpu, Float32Array.from({ length: size }, () => 0.1 * random.normal()), { shape });
}

const kinds = (await readdir(join(golden, "adapters"))).sort();

describe("importPeft()", () => {
  test("importPeft() starts from the pretrained model's own logits", async () => {
    assertClose(await logitsOf(pretrained), outputs.get("base")!.data as Float32Array, 1e-5);
  });

  // Both compute in float32, in other orders: outputs of order 1 differ by some 1e-6; PiSSA's also by the rounding of two
  // decompositions.
  for (const name of kinds) {
    test(`importPeft() gives PEFT's logits with ${name}`, async () => {
      const { model } = await importPeft(pretrained, await open(name), { family });
      assertClose(await logitsOf(model), outputs.get(name)!.data as Float32Array, 2e-5);
    });
  }

  test("importPeft() takes PiSSA's start out of the weight, so that it can be given back", async () => {
    const { model, layers } = await importPeft(pretrained, await open("pissa"), { family });
    assert.equal(layers.length, 4);
    assert.ok([...adaptersOf(model).values()].every(({ initial }) => initial !== undefined));
    const { layers: exported } = await exportLora(model, { pretrained });
    assert.deepEqual(exported.get(layers[0]!), { rank: 4, alpha: 10 });
  });

  test("importPeft() makes DoRA a layer that is trained on, and exportPeft() gives PEFT's tensors back", async () => {
    const adapter = await open("dora");
    const { model, layers } = await importPeft(pretrained, adapter, { family });
    const found = [...model.namedModules()].filter(([, module]) => module instanceof DoraLinear);
    assert.deepEqual(found.map(([name]) => name).sort(), [...layers].sort());
    const { config, tensors } = await exportPeft(model, {
      pretrained,
      family,
      base: { name: "owner/name" },
      form: "original",
    });
    assert.equal(config.use_dora, true);
    for (const name of adapter.weights.entries.keys()) {
      assert.deepEqual(tensors.get(name)!.data, toFloat32(await adapter.weights.read(name)), name);
    }
  });

  test("exportPeft() of DoRA on a weight that was taken apart doubles the rank and keeps m; importPeft() reads the same model", async () => {
    const options = { targets: ["**.query", "**.output.dense"], rank: 2, alpha: 5, dora: true };
    const random = new Random(4);
    for (const initialization of [lora, federa({ svd: "exact" })]) {
      const model = (await attachAdapters(pretrained, { ...options, initialization })).mapParameters((
        name,
        each,
      ) => /lora[AB]$|magnitude$/.test(name) ? add(each, noise(each, random)) : each);
      const { config, tensors } = await exportPeft(model, {
        pretrained,
        family,
        base: { name: "owner/name" },
        form: "original",
      });
      assert.deepEqual([config.use_dora, config.r], [true, initialization === lora ? 2 : 4]);
      const bytes = encodeSafetensors(tensors, { format: "pt" });
      const { tensors: stored } = readSafetensors(bytes);
      const again = await importPeft(pretrained, {
        source: "memory",
        config: parsePeftConfig(config),
        weights: { entries: stored, read: (name) => Promise.resolve(stored.get(name)!) },
      }, { family });
      assertClose(await logitsOf(again.model), await logitsOf(model), 2e-5);
      assertClose(await logitsOf(merge(model)), await logitsOf(model), 2e-5);
    }
  });

  test("exportPeft() refuses DoRA beside plain LoRA, which PEFT's one flag can't say", async () => {
    const first = await attachAdapters(pretrained, {
      targets: ["**.query"],
      rank: 1,
      alpha: 1,
      initialization: lora,
      dora: true,
    });
    const both = await attachAdapters(first, {
      targets: ["**.value"],
      rank: 1,
      alpha: 1,
      initialization: lora,
    });
    await assert.rejects(
      exportPeft(both, { pretrained, family, base: { name: "owner/name" }, form: "original" }),
      { name: "AdapterMismatchError", message: /value is plain LoRA and .*query DoRA.*merge the model/ },
    );
  });

  test("importPeft() names what it adapted and replaced, tells progress, and leaves the pretrained model alone", async () => {
    const before = await logitsOf(pretrained);
    const progress: string[] = [];
    const { layers, parameters, model } = await importPeft(pretrained, await open("bias_lora_only"), {
      family,
      onProgress: (done, total) => progress.push(`${done}/${total}`),
    });
    const selves = ["0", "1"].map((i) => `encoder.encoder.layer.${i}.attention.self`);
    assert.deepEqual(
      [...layers].sort(),
      selves.flatMap((self) => [`${self}.query`, `${self}.value`]),
    );
    assert.deepEqual([...parameters].sort(), [
      ...layers.map((name) => `${name}.bias`).sort(),
      "head.output.bias",
      "head.output.weight",
    ]);
    assert.deepEqual(progress, ["1/4", "2/4", "3/4", "4/4"]);
    assert.equal(adaptersOf(model).size, 4);
    assert.deepEqual(await logitsOf(pretrained), before);
  });
});
