import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { ModelFileProgress, OpenModelOptions } from "../../../src/hub/mod.ts";
import { HubServer } from "../../support/hub_server.ts";

export const REPO = "owner/name";
export const OLD = "0".repeat(39) + "a";
export const NEW = "0".repeat(39) + "b";
export const CONFIG = Buffer.from('{"model_type":"bert"}\n');

/** Bytes without a pattern that a shift would keep. */
export function noise(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (Math.imul(i + 1, 2654435761) >>> 13) & 255);
}

export const WEIGHTS = noise(300_007);

/** A hub with one model, and an empty cache. */
export interface HubBench {
  server: HubServer;
  /** What `HF_HOME` names. */
  home: string;
  /** Folder of the model in the cache. */
  root: string;
  /** For `openModelFiles`: short waits. */
  options: OpenModelOptions & { environment: Record<string, string> };
  progress: ModelFileProgress[];
  /** Files and links of the cache by their path in it, without folders. */
  contents: () => Promise<string[]>;
}

export async function makeBench(t: TestContext): Promise<HubBench> {
  const server = await HubServer.start();
  const home = await mkdtemp(join(tmpdir(), "federa-hub-"));
  t.after(async () => {
    await server.close();
    await rm(home, { recursive: true, force: true });
  });
  const files = { "config.json": CONFIG, "model.safetensors": WEIGHTS, "1_Pooling/config.json": CONFIG };
  server.repos.set(REPO, {
    commits: { [OLD]: { ...files, "old.txt": CONFIG }, [NEW]: { ...files, "new é.txt": Buffer.from("new") } },
    refs: { main: NEW, v1: OLD, "refs/pr/1": OLD },
  });
  const progress: ModelFileProgress[] = [];
  const cache = join(home, "hub");
  return {
    server,
    home,
    root: join(cache, "models--owner--name"),
    options: {
      environment: { HF_HOME: home, HF_ENDPOINT: server.endpoint },
      patience: { attempts: 4, firstWait: 1, longestWait: 2_000, longestSilence: 5_000 },
      onProgress: (event) => progress.push(event),
    },
    progress,
    contents: async () =>
      (await readdir(cache, { recursive: true, withFileTypes: true }))
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name).slice(cache.length + 1))
        .sort(),
  };
}
