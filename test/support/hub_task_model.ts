import type { LocalModelFiles } from "../../src/hub/mod.ts";
import type { Gpu } from "../../src/engine/mod.ts";
import { type OpenedTaskModel, openTaskModel, type Task } from "../../src/tasks/mod.ts";
import { folderFiles } from "./folder_files.ts";

/** A task model of a folder that `transformers` wrote, head included. */
export interface HubTaskModel extends OpenedTaskModel {
  readonly files: LocalModelFiles;
}

/** Loads encoder and head of a checkpoint of a task model. */
export async function loadHubTaskModel(gpu: Gpu, folder: string, task: Task): Promise<HubTaskModel> {
  const files = folderFiles(folder);
  return { ...await openTaskModel(gpu, files, { task }), files };
}
