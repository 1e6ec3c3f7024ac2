import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { CorruptFileError, writeFileAtomic } from "../../../data/mod.ts";
import { encodeSafetensors, readSafetensors } from "../../../models/mod.ts";
import type { RunStore, SavedRun } from "./run_store.ts";

/** Runs that a folder keeps, the newest: a node may be asked by a few at once, and finished ones are of no use. */
const KEPT_RUNS = 4;
const ENDING = ".run.safetensors";

/**
 * Keeps runs in files of a folder, one each, written atomically. They hold what clients keep to themselves, and are for their owner's
 * eyes alone.
 */
export function folderStore(folder: string): RunStore {
  const fileOf = (runId: bigint) => join(folder, `${runId}${ENDING}`);
  return {
    async read(runId) {
      let bytes: Uint8Array;
      try {
        bytes = await readFile(fileOf(runId));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
      return decodeRun(bytes, fileOf(runId));
    },
    async write(runId, saved) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFileAtomic(fileOf(runId), encodeRun(saved));
      await prune(folder);
    },
  };
}

function encodeRun({ identity, start, participant }: SavedRun): Uint8Array {
  const parts = Object.entries({ start, participant }).flatMap(([name, data]) =>
    data === undefined ? [] : [[name, { dtype: "U8", shape: [data.length], data }] as const]
  );
  return encodeSafetensors(new Map(parts), { format: "federa-flower-run-1", identity });
}

function decodeRun(bytes: Uint8Array, path: string): SavedRun {
  const { tensors, metadata } = readSafetensors(bytes);
  const { format, identity } = metadata;
  if (format !== "federa-flower-run-1" || identity === undefined) {
    throw new CorruptFileError(
      `Cannot use ${path}: it isn't the state of a Flower run; remove it to begin anew`,
    );
  }
  const part = (name: string) => tensors.get(name)?.data as Uint8Array | undefined;
  return { identity, start: part("start"), participant: part("participant") };
}

/** Removes the oldest runs. */
async function prune(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(ENDING));
  if (names.length <= KEPT_RUNS) return;
  const found = await Promise.all(names.map(async (name) => {
    const path = join(folder, name);
    return { path, time: (await stat(path)).mtimeMs };
  }));
  found.sort((a, b) => b.time - a.time);
  for (const { path } of found.slice(KEPT_RUNS)) await rm(path, { force: true });
}
