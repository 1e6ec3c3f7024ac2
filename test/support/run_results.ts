import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { contentHash } from "../../src/experiment/checkpoint/content_hash.ts";
import { readHistory } from "../../src/fl/history.ts";

/** Records that say how a run came about, and not what it came to. */
const notes = ["resumed", "interrupted", "failed"];

/**
 * All that must be the same in the folders of two runs of one configuration, by the name of the file: bytes of models and
 * checkpoints, every report and summary but for times, memory and notes on interruptions.
 */
export async function resultsIn(folder: string): Promise<Record<string, unknown>> {
  const names = (await readdir(folder, { recursive: true })).sort();
  const found: Record<string, unknown> = {};
  for (const name of names.filter((name) => /\.(json|jsonl|safetensors|tmp)$/.test(name))) {
    const path = join(folder, name);
    found[name] = name.endsWith(".tmp")
      ? "unfinished"
      : name.endsWith(".safetensors")
      ? contentHash(new Uint8Array(await readFile(path)))
      : name.endsWith(".jsonl")
      ? withoutTimes((await readHistory(path)).records.filter(({ type }) => !notes.includes(String(type))))
      : withoutTimes(JSON.parse(await readFile(path, "utf8")));
  }
  return found;
}

function withoutTimes(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value),
    (key, each) => ["seconds", "liveBytes", "memory"].includes(key) ? null : each,
  );
}
