import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ModelFiles } from "../../src/data/mod.ts";
import { type Gpu, tensor } from "../../src/engine/mod.ts";
import {
  encoderFamilies,
  type EncoderFamily,
  loadEncoder,
  openWeights,
  toFloat32,
} from "../../src/models/mod.ts";
import { type Task, TaskModel, transformersNames } from "../../src/tasks/mod.ts";
import { folderFiles } from "./folder_files.ts";

/** A task model of a folder that `transformers` wrote, head included. */
export interface HubTaskModel {
  readonly model: TaskModel;
  readonly family: EncoderFamily;
  readonly files: ModelFiles;
}

/** Loads encoder and head of a checkpoint of a task model. */
export async function loadHubTaskModel(gpu: Gpu, folder: string, task: Task): Promise<HubTaskModel> {
  const files = folderFiles(folder);
  const json = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
  const family = encoderFamilies.get(json.model_type)!;
  const weights = await openWeights(files);
  try {
    const config = family.parseConfig(json);
    const { encoder } = await loadEncoder(gpu, weights, { family, config });
    const untrained = TaskModel.create(gpu, encoder, { task, seed: 1 });
    const { toTransformers } = transformersNames(untrained, family);
    const head = new Map(
      await Promise.all(
        [...untrained.head.namedParameters("head")].map(async ([name, { shape }]) => {
          const data = toFloat32(await weights.read(toTransformers(name)!));
          return [name, tensor(gpu, data, { shape })] as const;
        }),
      ),
    );
    const model = untrained.mapParameters((name, parameter) => head.get(name) ?? parameter);
    return { model, family, files };
  } finally {
    await weights.close();
  }
}
