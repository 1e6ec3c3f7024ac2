import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openGpu } from "../../src/engine/mod.ts";
import { createMethod } from "../../src/experiment/config/method_config.ts";
import { parseWith } from "../../src/experiment/config/parse_config.ts";
import { roundSchedule } from "../../src/experiment/run/learning_rate.ts";
import { encodeAdapter } from "../../src/federa/mod.ts";
import { createCodec, disposeOwn, simulate } from "../../src/fl/mod.ts";
import { hostConfigSchema } from "../../src/network/nats/federation/host/host_config.ts";
import { prepareParticipant } from "../../src/network/nats/federation/participant/prepare_participant_node.ts";
import type { Random } from "./random.ts";
import { silent } from "./silent_reporter.ts";
import { writeTinyCheckpoint } from "./tiny_checkpoint.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Names of participants and how many examples each has. */
export const sizes = { ada: 9, bob: 14, cyd: 7 } as const;

/** Writes a tiny checkpoint, each participant's examples and `host.json` for them into a folder. */
export async function writeTinyFederation(folder: string, config: object): Promise<void> {
  await writeTinyCheckpoint(join(folder, "bert"), { seed: 1 });
  let first = 0;
  for (const [name, size] of Object.entries(sizes)) {
    const rows = Array.from({ length: size }, (_, i) => {
      const number = first + i;
      return number % 3 === 0
        ? { text: `win a free prize number ${number}`, label: "spam" }
        : { text: `minutes of meeting ${number}`, label: "ham" };
    });
    first += size;
    await writeFile(join(folder, `${name}.jsonl`), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  }
  await writeFile(
    join(folder, "host.json"),
    JSON.stringify({
      name: "tiny",
      host: "a proof",
      model: "bert",
      labels: ["spam", "ham"],
      maxLength: 8,
      participants: 3,
      minimum: 3,
      roundSeconds: 300,
      silenceSeconds: 60,
      batchSize: 4,
      output: join(folder, "runs"),
      ...config,
    }),
  );
}

/** The adapter of the same federation in one process, as its file's bytes. */
export async function simulatedAdapter(folder: string): Promise<Uint8Array> {
  const config = parseWith(
    hostConfigSchema,
    JSON.parse(await readFile(join(folder, "host.json"), "utf8")),
    "host.json",
  );
  const { method, codec, local, batchSize, optimizer, rounds, seed, clipNorm } = config;
  const asked = {
    ...config,
    federation: config.name,
    labels: config.labels!,
    model: { source: "bert", precision: config.precision, fingerprint: "" },
  };
  using gpu = await openGpu();
  using prepared = await prepareParticipant(asked, gpu, {
    reporter: silent,
    model: join(folder, "bert"),
    data: Object.keys(sizes).map((name) => join(folder, `${name}.jsonl`)),
  });
  const { pretrained, train } = prepared;
  let first = 0;
  const clients = Object.values(sizes).map((size) => Array.from({ length: size }, () => first++));
  for await (
    const event of simulate(pretrained, {
      method: createMethod(method),
      codec: createCodec(codec),
      train,
      test: train,
      clients,
      work: local.steps === undefined ? { epochs: local.epochs! } : { steps: local.steps },
      batchSize,
      optimizer,
      clipNorm,
      rounds,
      learningRate: roundSchedule(method.learningRate, config),
      seed,
      blockSize: 3,
      evaluateEvery: 0,
    })
  ) {
    if (event.type !== "finished") continue;
    const bytes = await encodeAdapter(event.model, { pretrained });
    disposeOwn(event.model, pretrained);
    return bytes;
  }
  throw new Error("the simulation didn't finish");
}

/** Options of {@linkcode playWithKills}. */
export interface KillingOptions {
  readonly url: string;
  /** How many processes to end, participants and hosts; none by default. */
  readonly kills?: { readonly participants: number; readonly hosts: number };
  readonly random: Random;
  readonly onKill?: (what: string, milliseconds: number) => void;
}

/**
 * Plays the federation of a folder with a process for the host and one for each participant, of which some are killed at random moments and
 * started again; the bytes of the adapter that the host leaves.
 */
export async function playWithKills(
  folder: string,
  { url, kills = { participants: 0, hosts: 0 }, random, onKill }: KillingOptions,
): Promise<Uint8Array> {
  const run = join(folder, "runs", "tiny-001");
  let isOver = false;
  const begin = Date.now();
  const started: ChildProcess[] = [];
  const federa = (...args: string[]) => {
    const child = spawn(
      process.execPath,
      ["--import", "./scripts/register.mjs", "src/cli/main.ts", ...args],
      {
        cwd: root,
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    started.push(child);
    let log = "";
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding("utf8").on("data", (text) => log += text);
    }
    return { child, log: () => log, code: once(child, "exit").then(([code]) => code as number | null) };
  };
  const participant = async (name: string, times: number) => {
    for (let left = times;; left--) {
      const { child, code } = federa(
        ...["join", "tiny", "--nats", url, "--name", name, "--model", join(folder, "bert")],
        ...["--data", join(folder, `${name}.jsonl`), "--folder", join(folder, name), "--wait", "60"],
      );
      if (left > 0) {
        // Once it has begun, at any moment.
        while (!existsSync(join(run, "participants.json")) && !isOver) await delay(20);
        await Promise.race([delay(random.uniform() * 2500), code]);
        child.kill("SIGKILL");
        onKill?.(name, Date.now() - begin);
      }
      const ended = await code;
      if (isOver || ended === 0) return;
    }
  };
  const host = async () => {
    for (let left = kills.hosts;; left--) {
      const { child, code, log } = federa(
        ...existsSync(join(run, "participants.json"))
          ? ["host", "--resume", run, "--nats", url]
          : ["host", join(folder, "host.json"), "--nats", url],
      );
      if (left > 0) {
        while (!existsSync(join(run, "participants.json")) && child.exitCode === null) await delay(20);
        await Promise.race([delay(1000 + random.uniform() * 2500), code]);
        child.kill("SIGKILL");
        onKill?.("the host", Date.now() - begin);
      }
      const ended = await code;
      if (ended === 0) return;
      if (ended !== null) throw new Error(`the host ended with ${ended}:\n${log()}`);
    }
  };
  const names = Object.keys(sizes);
  const joined = names.map((name, i) =>
    participant(
      name,
      Math.floor(kills.participants / names.length) + (i < kills.participants % names.length ? 1 : 0),
    )
  );
  try {
    await host();
    isOver = true;
    for (const child of started) child.kill("SIGKILL");
    await Promise.all(joined);
    const [method] = readdirSync(run, { withFileTypes: true }).filter((each) => each.isDirectory());
    return await readFile(join(run, method!.name, "adapter.safetensors"));
  } finally {
    isOver = true;
    for (const child of started) child.kill("SIGKILL");
  }
}
