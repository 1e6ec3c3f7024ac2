import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { add, mul, openGpu, type Tensor, tensor } from "../../../src/engine/mod.ts";
import { attachAdapters, exportPeft, federa, writeCheckpoint, writePeft } from "../../../src/federa/mod.ts";
import { loadTokenizer, openPretrained, readSentencePooling } from "../../../src/models/mod.ts";
import { classification, modelOutputs, TaskModel } from "../../../src/tasks/mod.ts";
import { folderFiles } from "../../support/folder_files.ts";
import { Random } from "../../support/random.ts";

/**
 * Puts a head and adapters on the encoders that make.py wrote, moves both, and writes outputs.json and, for check.py, the
 * adapter in both forms and the merged model.
 */
const [folder] = process.argv.slice(2);
if (folder === undefined) throw new TypeError("Cannot export without a folder: export.ts FOLDER");
const texts = [
  "The parcel came broken, and nobody answers.",
  "Would order again.",
  "quickly",
  "the parcel and the parcel and the parcel and the parcel and the parcel and the parcel and the parcel",
];
const maxLength = 12;
const task = classification({ labels: ["x", "y", "z"] });
const gpu = await openGpu();
for (const name of await readdir(folder)) {
  const at = (part: string) => join(folder, name, part);
  const files = folderFiles(at("base"));
  const pooling = await readSentencePooling(files);
  const { encoder, family } = await openPretrained(gpu, files, { pooling });
  const pretrained = TaskModel.create(gpu, encoder, { task, seed: 1 });
  const attached = await attachAdapters(pretrained, {
    targets: encoder.adapterTargets,
    rank: 3,
    alpha: 7,
    initialization: federa(),
  });
  const random = new Random(name.length);
  const move = (each: Tensor, scale: number) => {
    const noise = Float32Array.from({ length: each.size }, () => random.normal());
    return add(each, mul(tensor(gpu, noise, { shape: each.shape }), scale));
  };
  // By little in a real model, whose matrices are wide and whose layers are many.
  const scale = name === "real" ? 0.01 : 0.1;
  const model = attached.mapParameters((name, each) =>
    /lora[AB]$/.test(name) ? move(each, scale) : name.startsWith("head.") ? move(each, 3 * scale) : each
  );
  const set = task.prepare(
    texts.map((text) => task.ask(text)),
    await loadTokenizer(files),
    { maxLength },
  );
  const { outputs } = await modelOutputs(model, set);
  await mkdir(at("ours"), { recursive: true });
  await writeFile(at("ours/outputs.json"), JSON.stringify({ texts, outputs: [...outputs] }));
  await writeCheckpoint(at("ours/merged"), model, { family, files, weights: "merged", maxLength });
  await writeCheckpoint(at("ours/frozen"), model, { family, files, weights: "frozen" });
  for (const form of ["original", "converted"] as const) {
    const base = { name: form === "original" ? at("base") : at("ours/frozen") };
    const adapter = await exportPeft(model, { pretrained, family, base, form });
    await writePeft(at(`ours/${form}`), adapter, { files, maxLength });
  }
  console.log(`${name}: pooled by ${pooling}, exported`);
}
gpu.close();
