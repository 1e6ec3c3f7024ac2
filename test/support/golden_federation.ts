import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Gpu } from "../../src/engine/mod.ts";
import { feDeRa, fedExLora, fedIt, ffaLora, type Method, roLora, scaffold } from "../../src/fl/mod.ts";
import {
  classification,
  createTaskSet,
  openTaskModel,
  type TaskModel,
  type TaskSet,
} from "../../src/tasks/mod.ts";
import { folderFiles } from "./folder_files.ts";

/** Folder of three rounds of federations in PyTorch; see its `generate.py`. */
export const federatedFolder: string = fileURLToPath(new URL("../golden/federated", import.meta.url));

/** JSON of that folder. */
export function readFederated<T>(name: string): T {
  return JSON.parse(readFileSync(join(federatedFolder, name), "utf8")) as T;
}

const options = { rank: 4, alpha: 8, targets: ["**.query", "**.value"] };
const adamW = { optimizer: { name: "adamw" }, learningRate: 0.01 } as const;
const sgd = { optimizer: { name: "sgd" }, learningRate: 0.1 } as const;

/** The methods that are compared, and how their clients step. */
export const federatedMethods: ReadonlyMap<
  string,
  { readonly method: Method } & (typeof adamW | typeof sgd)
> = new Map<
  string,
  { readonly method: Method } & (typeof adamW | typeof sgd)
>([
  ["fedit", { method: fedIt(options), ...adamW }],
  ["federa", { method: feDeRa({ ...options, svd: "exact" }), ...adamW }],
  ["ffa-lora", { method: ffaLora(options), ...adamW }],
  ["fedex-lora", { method: fedExLora(options), ...adamW }],
  ["rolora", { method: roLora(options), ...adamW }],
  ["scaffold", { method: scaffold(fedIt(options)), ...sgd }],
]);

/** What all of them share: unequal clients that hardly share a class. */
export const federatedRun = {
  rank: options.rank,
  alpha: options.alpha,
  rounds: 3,
  batchSize: 4,
  work: { steps: 4 },
  seed: 9,
};

interface Data {
  readonly labels: readonly number[];
  readonly ids: readonly (readonly number[])[];
  readonly mask: readonly (readonly number[])[];
}

/** Texts of SNIPS as tokens of the small BERT, and who holds which. */
export function federatedData(): {
  readonly train: TaskSet;
  readonly clients: readonly (readonly number[])[];
} {
  const { labels, ids, mask } = readFederated<Data>("data.json");
  const train = createTaskSet({
    batchSize: ids.length,
    length: ids[0]!.length,
    inputIds: Uint32Array.from(ids.flat()),
    attentionMask: Float32Array.from(mask.flat()),
  }, { targets: Int32Array.from(labels) });
  const of = (label: number) => [...labels.keys()].filter((row) => labels[row] === label);
  const [music, weather, food] = [of(0), of(1), of(2)];
  return {
    train,
    clients: [
      [...music!.slice(0, 10), ...weather!.slice(0, 6)],
      [...weather!.slice(6), ...food!.slice(0, 6)],
      [...food!.slice(6), ...music!.slice(10)],
    ],
  };
}

/** The small BERT with its head. */
export async function federatedBase(gpu: Gpu): Promise<TaskModel> {
  const task = classification({ labels: ["PlayMusic", "GetWeather", "BookRestaurant"] });
  const { model } = await openTaskModel(gpu, folderFiles(join(federatedFolder, "base")), { task });
  return model;
}
