import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, type FSWatcher, watch } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { commandArguments } from "./bundled_command.ts";
import { Random } from "./random.ts";
import { resultsIn } from "./run_results.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A process that was killed, and what became of its run. */
export interface Kill {
  /** Milliseconds after the run's folder was made. */
  readonly after: number;
  /** Rounds in the history then. */
  readonly rounds: number;
  /** The checkpoint that was being written: its unfinished file was left. */
  readonly unfinished: string | undefined;
  /** What isn't as in a run that never stopped; undefined if all is. */
  readonly difference: string | undefined;
}

/** Options of {@linkcode killAndResume}. */
export interface KillAndResumeOptions {
  /** A configuration file whose runs go to `runs` beside it, named `tiny`, and its number of rounds. */
  readonly config: string;
  readonly rounds: number;
  readonly kills: number;
  readonly seed: number;
  readonly onKill?: ((kill: Kill, number: number) => void) | undefined;
}

/**
 * Runs a configuration once to its end, then again and again: each time the process is killed by SIGKILL, the run is resumed,
 * and its folder compared. Odd kills come at a random time, even ones as soon as a random checkpoint's file is begun.
 */
export async function killAndResume(options: KillAndResumeOptions): Promise<Kill[]> {
  const { config, rounds, kills, seed, onKill } = options;
  const folder = join(config, "..", "runs", "tiny-001");
  const random = new Random(seed);
  const begun = federa("run", config);
  while (!existsSync(join(folder, "config.json"))) await delay(5);
  const start = performance.now();
  assert.equal(await begun.code, 0, "the run that is left alone failed");
  const duration = performance.now() - start;
  const expected = await resultsIn(folder);
  const done: Kill[] = [];
  while (done.length < kills) {
    await rm(folder, { recursive: true });
    const number = done.length + 1;
    const killed = await killOne(
      folder,
      config,
      number % 2 === 1
        ? { milliseconds: random.uniform() * duration }
        : { checkpoint: 1 + Math.floor(random.uniform() * rounds) },
    );
    if (killed === undefined) continue;
    const code = await federa("resume", folder).code;
    const found = await resultsIn(folder);
    const difference = code !== 0 ? `federa resume ended with ${code}` : differenceOf(found, expected);
    done.push({ ...killed, difference });
    onKill?.(done.at(-1)!, number);
  }
  return done;
}

/** Kills a run; undefined if it ended before. */
async function killOne(
  folder: string,
  config: string,
  moment: { readonly milliseconds: number } | { readonly checkpoint: number },
): Promise<Omit<Kill, "difference"> | undefined> {
  const { child, code } = federa("run", config);
  while (!existsSync(join(folder, "config.json"))) await delay(5);
  const start = performance.now();
  if ("milliseconds" in moment) await Promise.race([delay(moment.milliseconds), code]);
  else await Promise.race([checkpointBegins(folder, moment.checkpoint), code]);
  child.kill("SIGKILL");
  const after = performance.now() - start;
  if (await code !== null) return undefined;
  const names = await readdir(folder, { recursive: true });
  const results = await resultsIn(folder).catch(() => ({}));
  const histories = Object.entries(results).filter(([name]) => name.endsWith("history.jsonl"));
  const records = histories.flatMap(([, content]) => content as { type: string }[]);
  return {
    after,
    rounds: records.filter(({ type }) => type === "round").length,
    unfinished: names.find((name) => /checkpoint-.*\.tmp$/.test(name)),
  };
}

/** Waits until the file of a checkpoint is begun. */
async function checkpointBegins(folder: string, count: number): Promise<void> {
  const methodFolder = async () =>
    (await readdir(folder, { withFileTypes: true })).find((each) => each.isDirectory())?.name;
  let method = await methodFolder();
  for (; method === undefined; method = await methodFolder()) await delay(5);
  const seen = new Set<string>();
  let watcher: FSWatcher | undefined;
  await new Promise<void>((resolve) => {
    watcher = watch(join(folder, method), (_, name) => {
      if (name !== null && /^checkpoint-.*\.tmp$/.test(name)) seen.add(name);
      if (seen.size >= count) resolve();
    });
  });
  watcher?.close();
}

function federa(...args: string[]): { readonly child: ChildProcess; readonly code: Promise<number | null> } {
  const child = spawn(process.execPath, [...commandArguments, ...args], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  return { child, code: once(child, "exit").then(([code]) => code as number | null) };
}

function differenceOf(found: Record<string, unknown>, expected: Record<string, unknown>): string | undefined {
  try {
    assert.deepEqual(Object.keys(found), Object.keys(expected));
    for (const [name, content] of Object.entries(expected)) assert.deepEqual(found[name], content, name);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
