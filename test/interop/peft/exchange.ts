import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { add, assign, clone, mul, openGpu, type Tensor, tensor } from "../../../src/engine/mod.ts";
import {
  adaptersOf,
  attachAdapters,
  type AttachAdaptersOptions,
  exportPeft,
  federa,
  gaussian,
  importPeft,
  lora,
  milora,
  olora,
  openPeftAdapter,
  writeCheckpoint,
  writePeft,
} from "../../../src/federa/mod.ts";
import { encodeSafetensors, readSafetensors, type StoredTensor } from "../../../src/models/mod.ts";
import {
  classification,
  questionAnswering,
  type Task,
  type TaskModel,
  tokenClassification,
} from "../../../src/tasks/mod.ts";
import { folderFiles } from "../../support/folder_files.ts";
import { type HubTaskModel, loadHubTaskModel } from "../../support/hub_task_model.ts";
import { Random } from "../../support/random.ts";

/**
 * Loads the models and adapters that make.py wrote, prints how far the outputs are from PEFT's, and writes adapters and
 * checkpoints for check.py.
 */
const [folder] = process.argv.slice(2);
if (folder === undefined) throw new TypeError("Cannot exchange without a folder: exchange.ts FOLDER");
const limit = 1e-4;
const gpu = await openGpu();

const tasks: Record<string, Task> = {
  ForSequenceClassification: classification({ labels: ["x", "y", "z"] }) as Task,
  ForTokenClassification: tokenClassification({ labels: ["O", "B-x", "I-x"] }) as Task,
  ForQuestionAnswering: questionAnswering() as Task,
};

for (const name of (await readdir(folder)).sort()) {
  const place = join(folder, name);
  const task = tasks[name.replace(/^[A-Za-z0-9]*?(?=For)/, "")]!;
  const loaded = await loadHubTaskModel(gpu, join(place, "base"), task);
  const { tensors } = readSafetensors(await readFile(join(place, "outputs.safetensors")));
  const read = await outputsReader(tensors);
  const found = [`pretrained ${distance(await read(loaded.model), tensors.get("base")!)}`];
  for (const kind of (await readdir(join(place, "adapters"))).sort()) {
    const adapter = await openPeftAdapter(folderFiles(join(place, "adapters", kind)));
    const { model } = await importPeft(loaded.model, adapter, loaded);
    await adapter.weights.close();
    found.push(`PEFT's ${kind} ${distance(await read(model), tensors.get(kind)!)}`);
  }
  console.log(`${name}\n  ${found.join("; ")}`);
  await exportAll(place, loaded, read);
}
gpu.close();
console.log(process.exitCode ? "failed" : `every difference is at most ${limit}`);

/** Reads a model's outputs of the tokens, those of padding 0. */
async function outputsReader(tensors: ReadonlyMap<string, StoredTensor>) {
  const [inputIds, attentionMask] = ["ids", "mask"].map((name) =>
    Array.from(tensors.get(name)!.data as BigInt64Array, Number)
  ) as [number[], number[]];
  const { shape } = tensors.get("ids")!;
  const tokens = {
    inputIds: tensor(gpu, Uint32Array.from(inputIds), { shape }),
    attentionMask: tensor(gpu, Float32Array.from(attentionMask), { shape }),
  };
  return async (model: TaskModel) => {
    using outputs: Tensor = model.forward(tokens);
    const data = await outputs.floats();
    if (outputs.ndim === 2) return { shape: outputs.shape, data };
    const width = outputs.shape.at(-1)!;
    return {
      shape: outputs.shape,
      data: data.map((value, i) => value * attentionMask[Math.floor(i / width)]!),
    };
  };
}

/** Adapters of both kinds in both forms, one with a changed residual, and merged checkpoints. */
async function exportAll(
  place: string,
  { model: pretrained, family, files }: HubTaskModel,
  read: Awaited<ReturnType<typeof outputsReader>>,
): Promise<void> {
  const outputs = new Map<string, StoredTensor>();
  const kinds: Readonly<
    Record<string, Pick<AttachAdaptersOptions, "initialization" | "dora" | "rankPattern" | "scaling">>
  > = {
    lora: { initialization: lora },
    federa: { initialization: federa() },
    exact: { initialization: federa() },
    dora: { initialization: gaussian, dora: true },
    dora_federa: { initialization: federa(), dora: true },
    patterns: { initialization: milora, rankPattern: { "encoder.**.0.**": 2 }, scaling: "rslora" },
    olora: { initialization: olora },
  };
  for (const [kind, options] of Object.entries(kinds)) {
    const random = new Random(kind.length);
    const attached = await attachAdapters(pretrained, {
      targets: pretrained.encoder.adapterTargets,
      rank: 3,
      alpha: 7,
      ...options,
    });
    const move = (each: Tensor, scale: number) => {
      const noise = Float32Array.from({ length: each.size }, () => random.normal());
      return add(each, mul(tensor(gpu, noise, { shape: each.shape }), scale));
    };
    const model = attached.mapParameters((name, each) =>
      /(lora[AB]|magnitude)$/.test(name) ? move(each, 0.1) : name.startsWith("head.") ? move(each, 0.3) : each
    );
    if (kind === "exact") {
      // As exact aggregation leaves it: what averaging lost is folded into the frozen weights.
      for (const { weight } of adaptersOf(model).values()) assign(weight, move(clone(weight), 0.05));
    }
    const at = (part: string) => join(place, "ours", kind, part);
    await mkdir(at(""), { recursive: true });
    for (const form of kind === "exact" ? ["converted"] as const : ["original", "converted"] as const) {
      const base = form === "original" ? join(place, "base") : at("base");
      if (form === "converted") {
        await writeCheckpoint(base, model, { family, files, weights: "frozen" });
      }
      await writePeft(at(form), await exportPeft(model, { pretrained, family, base: { name: base }, form }));
    }
    await writeCheckpoint(at("merged"), model, {
      family,
      files,
      weights: "merged",
      ...kind === "lora" && { maxShardSize: 20_000 },
    });
    outputs.set(kind, { dtype: "F32", ...await read(model) });
  }
  await writeFile(join(place, "ours", "outputs.safetensors"), encodeSafetensors(outputs));
}

function distance(found: { readonly data: Float32Array }, expected: StoredTensor): string {
  const differences = found.data.map((value, i) => Math.abs(value - (expected.data as Float32Array)[i]!));
  const worst = differences.reduce((most, each) => Math.max(most, each), 0);
  if (!(worst <= limit) || found.data.length !== expected.data.length) process.exitCode = 1;
  return worst.toExponential(1);
}
