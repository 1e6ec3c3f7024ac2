import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { disposeOwn, ownParameters, type SimulationEvent } from "../../fl/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import type { Reporter } from "../report/reporter.ts";

/** Options of {@linkcode writeClientModels}. */
export interface WriteClientModelsOptions {
  readonly numClients: number;
  /** The method's folder. */
  readonly folder: string;
  readonly reporter: Reporter;
  /** Writes a model into a folder. */
  write(folder: string, model: TaskModel): Promise<void>;
}

/**
 * Writes the models of clients that differ from the global one into folders `clients/000`, `clients/001` … of a method's folder,
 * each a model folder like the method's own.
 *
 * @returns the number of models.
 */
export async function writeClientModels(
  { model, clientModel }: Extract<SimulationEvent, { type: "finished" }>,
  { numClients, folder, reporter, write }: WriteClientModelsOptions,
): Promise<number> {
  const width = Math.max(3, String(numClients - 1).length);
  let written = 0;
  for (let client = 0; client < numClients; client++) {
    reporter.progress("writing clients' models", client, numClients);
    const own = await clientModel(client);
    try {
      if (ownParameters(own, model).length === 0) continue;
      const path = join(folder, "clients", String(client).padStart(width, "0"));
      await mkdir(path, { recursive: true });
      await write(path, own);
      written++;
    } finally {
      disposeOwn(own, model);
    }
  }
  return written;
}
