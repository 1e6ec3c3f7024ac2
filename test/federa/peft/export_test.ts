import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { localModelFiles, memoryModelFiles } from "../../../src/hub/mod.ts";
import { add, assign, type Module, mul, tensor } from "../../../src/engine/mod.ts";
import {
  adaptersOf,
  attachAdapters,
  baseModelOf,
  encodePeft,
  exportPeft,
  type ExportPeftOptions,
  federa,
  type Initialization,
  lora,
  writeCheckpoint,
  writePeft,
} from "../../../src/federa/mod.ts";
import { openWeights, readSafetensors, type StoredTensor, toFloat32 } from "../../../src/models/mod.ts";
import { classification, TaskModel } from "../../../src/tasks/mod.ts";
import { testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul } from "../../reference/matmul.ts";
import { folderFiles } from "../../support/folder_files.ts";
import { loadHubTaskModel } from "../../support/hub_task_model.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { TinyEncoder } from "../../support/tiny_encoder.ts";

const source = join(import.meta.dirname, "../../golden/peft/base");
const gpu = await testGpu();
const task = classification({ labels: ["yes", "no", "perhaps"] });
const { model: pretrained, family, files } = await loadHubTaskModel(gpu, source, task);
const folder = await mkdtemp(join(tmpdir(), "federa-export-"));
after(() => rm(folder, { recursive: true }));

const targets = ["**.attention.self.query", "**.output.dense"];

/** An adapted model whose factors and head have moved. */
async function trained(initialization: Initialization, rank = 2): Promise<TaskModel> {
  const random = new Random(7);
  const model = await attachAdapters(pretrained, { targets, rank, alpha: 5, initialization });
  return model.mapParameters((name, each) =>
    /lora[AB]$|^head\./.test(name) ? add(each, mul(upload(gpu, gaussian(each.shape, random)), 0.3)) : each
  );
}

function options(form: ExportPeftOptions["form"] = "original"): ExportPeftOptions {
  return { pretrained, family, base: { name: "owner/name", revision: "abc" }, form };
}

function wide({ shape, data }: Pick<StoredTensor, "shape" | "data">): F64Array {
  return F64Array.from(shape, data as Float32Array);
}

/** W + (alpha/r)·B·A of a layer, in float64, by files alone. */
function effective(
  weight: StoredTensor,
  tensors: ReadonlyMap<string, StoredTensor>,
  { layer, scaling }: { readonly layer: string; readonly scaling: number },
): F64Array {
  const [a, b] = ["A", "B"].map((part) =>
    wide(tensors.get(`base_model.model.${layer}.lora_${part}.weight`)!)
  ) as [
    F64Array,
    F64Array,
  ];
  const change = matmul(b, a);
  return wide(weight).map((value, i) => value + scaling * change.data[i]!);
}

function assertClose(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(found.length, expected.length);
  for (let i = 0; i < found.length; i++) {
    assert.ok(
      Math.abs(found[i]! - expected[i]!) <= tolerance,
      `element ${i}: ${found[i]}, expected ${expected[i]}`,
    );
  }
}

// Weights are of order 1 and factors of order 1: each element sums some ten products, rounded to 2⁻²⁴ each.
const tolerance = 1e-5;

describe("exportPeft(), writePeft() and writeCheckpoint()", () => {
  for (const [name, initialization] of [["lora", lora], ["federa", federa({ svd: "exact" })]] as const) {
    test(`both forms of ${name} are W₀ + s·(B·A − B₀·A₀), each on its own base`, async () => {
      const model = await trained(initialization);
      await writeCheckpoint(join(folder, "base"), model, { family, files, weights: "frozen" });
      await writeCheckpoint(join(folder, "merged"), model, { family, files, weights: "merged" });
      const bases = {
        original: await openWeights(files),
        converted: await openWeights(folderFiles(join(folder, "base"))),
      };
      const merged = await openWeights(folderFiles(join(folder, "merged")));
      for (const form of ["original", "converted"] as const) {
        const { config, tensors } = await exportPeft(model, options(form));
        const doubled = name === "federa" && form === "original" ? 2 : 1;
        assert.deepEqual([config.r, config.lora_alpha], [2 * doubled, 5 * doubled]);
        for (const [ours, { weight, loraA, loraB, initial, sharedScaling }] of adaptersOf(model)) {
          const layer = ours.replace(/^encoder\./, "bert.");
          assert.ok(config.target_modules.includes(layer));
          const found = effective(await bases[form].read(`${layer}.weight`), tensors, {
            layer,
            scaling: config.lora_alpha / config.r,
          });
          const [w, a, b] = await Promise.all(
            [weight, loraA, loraB].map(async (each) => F64Array.from(each.shape, await each.floats())),
          ) as [F64Array, F64Array, F64Array];
          const product = matmul(b, a).data;
          const expected = w.data.map((value, i) => value + sharedScaling * product[i]!);
          assert.equal(initial !== undefined, name === "federa");
          assertClose(found.data, expected, tolerance);
          assertClose(toFloat32(await merged.read(`${layer}.weight`)), expected, tolerance);
        }
      }
      for (const each of [...Object.values(bases), merged]) await each.close();
    });
  }

  test("exportPeft() holds the head, and nothing of the encoder; names the base and its commit", async () => {
    const model = await trained(lora);
    const { config, tensors } = await exportPeft(model, options());
    const others = [...tensors.keys()].filter((name) => !name.includes(".lora_"));
    assert.deepEqual(others, ["base_model.model.classifier.weight", "base_model.model.classifier.bias"]);
    assert.deepEqual(
      tensors.get("base_model.model.classifier.weight")!.data,
      await model.head.output.weight.floats(),
    );
    assert.equal(config.base_model_name_or_path, "owner/name");
    assert.equal(config.revision, "abc");
    assert.deepEqual([config.rank_pattern, config.alpha_pattern], [{}, {}]);
  });

  test("exportPeft() tells ranks and alphas of layers that differ from most", async () => {
    const first = await attachAdapters(pretrained, {
      targets: ["**.query", "**.value"],
      rank: 2,
      alpha: 5,
      initialization: lora,
    });
    const model = await attachAdapters(first, {
      targets: ["**.layer.1.output.dense"],
      rank: 3,
      alpha: 4.5,
      initialization: lora,
    });
    const { config } = await exportPeft(model, options());
    assert.deepEqual([config.r, config.lora_alpha], [2, 5]);
    assert.deepEqual(config.rank_pattern, { "bert.encoder.layer.1.output.dense": 3 });
    assert.deepEqual(config.alpha_pattern, { "bert.encoder.layer.1.output.dense": 4.5 });
  });

  test("exportPeft() of a changed residual: refused on the original base, given on a converted one", async () => {
    const model = await trained(federa({ svd: "exact" }));
    const [name, { weight }] = [...adaptersOf(model)][0]!;
    assign(weight, add(weight, 1));
    await assert.rejects(exportPeft(model, options()), {
      name: "AdapterMismatchError",
      message: new RegExp(`${name}.*export it on a base converted with it`),
    });
    const { config } = await exportPeft(model, options("converted"));
    assert.equal(config.r, 2);
  });

  test("exportPeft() refuses what an adapter can't hold", async () => {
    await assert.rejects(exportPeft(pretrained, options()), {
      name: "AdapterMismatchError",
      message: /no layer of the model is adapted; merge/,
    });
    const model = await trained(lora);
    const change = (pattern: RegExp, value: number) =>
      model.mapParameters((name, each) =>
        pattern.test(name)
          ? tensor(gpu, new Float32Array(each.size).fill(value), { shape: each.shape })
          : each
      );
    await assert.rejects(exportPeft(change(/LayerNorm\.bias$/, 0), options()), {
      name: "AdapterMismatchError",
      message: /were trained, encoder\.embeddings\.LayerNorm\.bias, .*; merge the model/,
    });
    await assert.rejects(exportPeft(change(/loraB$/, NaN), options()), { name: "NonFiniteError" });
    const onHead = await attachAdapters(model, {
      targets: ["head.output"],
      rank: 1,
      alpha: 1,
      initialization: lora,
    });
    await assert.rejects(exportPeft(onHead, options()), { message: /the head is stored whole; merge/ });
    const members = (each: Module) =>
      each.mapParameters((name, parameter) =>
        name.endsWith("loraB") ? tensor(gpu, new Float32Array(24), { shape: [1, 12, 2] }) : parameter
      );
    await assert.rejects(exportPeft(members(await onlyQuery()) as TaskModel, options()), {
      name: "TypeError",
      message: /expected A \[r, in\] and B \[out, r\], got \[2, 12\] and \[1, 12, 2\]/,
    });
  });

  async function onlyQuery(): Promise<TaskModel> {
    return await attachAdapters(pretrained, {
      targets: ["**.query"],
      rank: 2,
      alpha: 1,
      initialization: lora,
    });
  }

  test("exportPeft() and writeCheckpoint() refuse models that transformers has no class for, with advice", async () => {
    const tiny = TaskModel.create(gpu, new TinyEncoder(gpu), { task, seed: 1 });
    const other = { pretrained: tiny, family: undefined, base: { name: "x" }, form: "original" } as const;
    await assert.rejects(exportPeft(tiny, other), {
      name: "NoCounterpartError",
      message: /no class for this encoder; keep the adapter file/,
    });
    await assert.rejects(
      writeCheckpoint(folder, tiny, { family: undefined, files, weights: "merged" }),
      { name: "NoCounterpartError" },
    );
  });

  test("exportPeft() and writeCheckpoint() write a head on pooled states as sentence-transformers reads it", async () => {
    const parameters = new Map(
      [...pretrained.encoder.namedParameters()].filter(([name]) => !name.startsWith("pooler.")),
    );
    const config = family.parseConfig(JSON.parse(await readFile(join(source, "config.json"), "utf8")));
    for (const pooling of ["mean", "cls"] as const) {
      const encoder = family.create(parameters, config, { pooling });
      const bare = TaskModel.create(gpu, encoder, { task, seed: 1 });
      const model = await attachAdapters(bare, {
        targets: ["**.query"],
        rank: 2,
        alpha: 1,
        initialization: lora,
      });
      const json = async (...path: string[]) =>
        JSON.parse(await readFile(join(folder, pooling, ...path), "utf8"));
      const assertHead = async (part: string) => {
        // As sentence-transformers 6.2 and those before it read them; test/interop/sentence_transformers loads them there.
        assert.deepEqual(
          (await json(part, "modules.json")).map(({ path, type }: Record<string, string>) => [path, type]),
          [
            ["", "sentence_transformers.models.Transformer"],
            ["1_Pooling", "sentence_transformers.models.Pooling"],
            ["2_Dense", "sentence_transformers.models.Dense"],
          ],
        );
        assert.deepEqual(await json(part, "1_Pooling", "config.json"), {
          word_embedding_dimension: 12,
          pooling_mode_cls_token: pooling === "cls",
          pooling_mode_mean_tokens: pooling === "mean",
          pooling_mode_max_tokens: false,
          pooling_mode_mean_sqrt_len_tokens: false,
        });
        assert.deepEqual(await json(part, "2_Dense", "config.json"), {
          in_features: 12,
          out_features: task.labels.length,
          bias: true,
          activation_function: "torch.nn.modules.linear.Identity",
        });
        assert.deepEqual(await json(part, "sentence_bert_config.json"), {
          max_seq_length: 9,
          do_lower_case: false,
        });
        const dense = readSafetensors(
          await readFile(join(folder, pooling, part, "2_Dense", "model.safetensors")),
        );
        assert.deepEqual(dense.tensors.get("linear.weight")!.data, await model.head.output.weight.floats());
        assert.deepEqual(dense.tensors.get("linear.bias")!.data, await model.head.output.bias!.floats());
      };
      const exported = await exportPeft(model, { ...options(), pretrained: bare });
      assert.equal(exported.config.task_type, "FEATURE_EXTRACTION");
      assert.deepEqual(exported.config.modules_to_save, []);
      assert.deepEqual([...exported.tensors.keys()].filter((name) => name.includes("lora_A")), [
        "base_model.model.encoder.layer.0.attention.self.query.lora_A.weight",
        "base_model.model.encoder.layer.1.attention.self.query.lora_A.weight",
      ]);
      assert.equal(exported.tensors.size, 4);
      const written = await writePeft(join(folder, pooling, "adapter"), exported, { files, maxLength: 9 });
      await assertHead("adapter");
      // What a page hands out is what is written.
      const contents = await encodePeft(exported, { files, maxLength: 9 });
      assert.ok(contents.has("modules.json"));
      const withTokenizer = await encodePeft(exported, {
        files: memoryModelFiles({ "tokenizer.json": "{}", "other.json": "{}" }),
      });
      assert.deepEqual(withTokenizer.get("tokenizer.json"), new TextEncoder().encode("{}"));
      assert.equal(withTokenizer.size, contents.size);
      assert.deepEqual(
        [...contents.keys()].map((name) => join(folder, pooling, "adapter", name)).sort(),
        written.sort(),
      );
      for (const [name, content] of contents) {
        assert.deepEqual(Buffer.from(content), await readFile(join(folder, pooling, "adapter", name)));
      }
      const merged = join(folder, pooling, "merged");
      const checkpoint = await writeCheckpoint(merged, model, {
        family,
        files,
        weights: "merged",
        maxLength: 9,
      });
      await assertHead("merged");
      assert.ok(checkpoint.includes(join(merged, "2_Dense/model.safetensors")));
      assert.deepEqual((await json("merged", "config.json")).architectures, ["BertModel"]);
      const { tensors } = readSafetensors(await readFile(join(merged, "model.safetensors")));
      assert.deepEqual([...tensors.keys()].sort(), [...parameters.keys()].sort());
    }
  });

  test("writePeft() makes a folder of two files", async () => {
    const model = await trained(lora);
    const target = join(folder, "a", "b");
    const paths = await writePeft(target, await exportPeft(model, options()));
    assert.deepEqual(paths, [join(target, "adapter_model.safetensors"), join(target, "adapter_config.json")]);
    assert.deepEqual((await readdir(target)).sort(), ["adapter_config.json", "adapter_model.safetensors"]);
    const { metadata, tensors } = readSafetensors(await readFile(paths[0]!));
    assert.deepEqual(metadata, { format: "pt" });
    assert.equal(tensors.size, 2 * 6 + 2);
    assert.equal(JSON.parse(await readFile(paths[1]!, "utf8")).peft_type, "LORA");
  });

  test("writeCheckpoint() splits large weights, tells progress, and won't write over its source", async () => {
    const target = join(folder, "shards");
    const progress: number[] = [];
    const paths = await writeCheckpoint(target, pretrained, {
      family,
      files,
      weights: "merged",
      maxShardSize: 4000,
      onProgress: (bytes, total) => progress.push(bytes / total),
    });
    assert.ok(paths.length > 4);
    assert.ok(paths.includes(join(target, "model.safetensors.index.json")));
    assert.equal(progress.at(-1), 1);
    const weights = await openWeights(folderFiles(target));
    const original = await openWeights(files);
    assert.deepEqual([...weights.entries.keys()].sort(), [...original.entries.keys()].sort());
    for (const name of weights.entries.keys()) {
      assert.deepEqual((await weights.read(name)).data, (await original.read(name)).data, name);
    }
    await weights.close();
    await original.close();
    await assert.rejects(
      writeCheckpoint(target, pretrained, { family, files: folderFiles(target), weights: "merged" }),
      /Cannot write a checkpoint into .*: it is made of the one there/,
    );
  });

  test("baseModelOf() knows models of the hub by name, others by their folder", async () => {
    const nowhere = localModelFiles({
      source: "hf:owner/name@0123",
      has: async () => false,
      path: async () => undefined,
    });
    assert.deepEqual(await baseModelOf(nowhere), { name: "owner/name", revision: "0123" });
    assert.deepEqual(await baseModelOf({ ...nowhere, source: "hf:name" }), {
      name: "name",
      revision: undefined,
    });
    assert.deepEqual(await baseModelOf(files), { name: source });
    await assert.rejects(
      baseModelOf({ ...nowhere, source: "npm:a@1" }),
      /npm:a@1 is: it has no config\.json/,
    );
  });
});
