import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { openGpu } from "../src/engine/mod.ts";
import { readConfig } from "../src/experiment/config/parse_config.ts";
import { prepare } from "../src/experiment/run/prepare.ts";
import { runExperiment } from "../src/experiment/run/run_experiment.ts";
import { makeFolder } from "../src/data/mod.ts";
import { type BlockDone, Coordinator } from "../src/network/nats/workers/coordinator/coordinator.ts";
import { kindOf } from "../src/network/nats/workers/bits_node.ts";
import { trainersOn } from "../src/network/nats/workers/coordinator/trainers_node.ts";
import { type NatsServer, startNats } from "../test/support/nats_server.ts";
import { Random } from "../test/support/random.ts";
import { type Command, federa } from "../test/support/run_on_workers.ts";
import { resultsIn } from "../test/support/run_results.ts";
import { silent } from "../test/support/silent_reporter.ts";
import { writeTinyCheckpoint } from "../test/support/tiny_checkpoint.ts";
import { tinyBert, writeTinyProject } from "../test/support/tiny_project.ts";

const [plain] = tinyBert.methods;
const shared = {
  ...tinyBert,
  blockSize: 2,
  partition: { kind: "iid", numClients: 6 },
  clientsPerRound: 5,
  rounds: 4,
  optimizer: { name: "sgd" },
};
const cases = {
  "federa, federa-exact, scaffold over fedit": {
    ...shared,
    methods: [{ ...plain, method: "federa" }, { ...plain, method: "federa-exact" }, {
      ...plain,
      algorithm: "scaffold",
    }],
  },
  "scaffold over fedit, what clients keep and topk with error feedback": {
    ...shared,
    codec: { name: "topk", share: 0.25 },
    methods: [{ ...plain, algorithm: "scaffold" }],
  },
};

/** Workers of one queue, in processes of their own. */
class Workers {
  readonly #url: string;
  readonly #cache: string;
  readonly #all: Command[] = [];

  constructor(server: NatsServer, cache: string) {
    this.#url = server.url;
    this.#cache = cache;
  }

  get running(): Command[] {
    return this.#all.filter(({ child }) => child.exitCode === null && child.signalCode === null);
  }

  async start(count: number): Promise<void> {
    const started = Array.from(
      { length: count },
      () => federa(["worker", "--nats", this.#url, "--cache", this.#cache]),
    );
    this.#all.push(...started);
    await Promise.all(started.map((each) => each.says("waits for a run", 120)));
  }

  async kill(worker: Command): Promise<void> {
    worker.child.kill("SIGKILL");
    await worker.code;
  }

  async stop(): Promise<void> {
    for (const worker of this.running) await this.kill(worker);
  }
}

/** A run to its end, and all that must be the same in it. */
async function run(
  folder: string,
  more: readonly string[],
  during?: (command: Command) => Promise<void>,
): Promise<{ readonly results: Record<string, unknown>; readonly seconds: number }> {
  const runs = join(folder, "runs");
  await rm(runs, { recursive: true, force: true });
  const started = performance.now();
  const command = federa(["run", join(folder, "config.json"), ...more]);
  await during?.(command);
  assert.equal(await command.code, 0, command.said());
  const seconds = (performance.now() - started) / 1000;
  return { results: await resultsIn(join(runs, "tiny-001")), seconds };
}

function isEqual(found: Record<string, unknown>, expected: Record<string, unknown>): boolean {
  try {
    assert.deepEqual(found, expected);
    return true;
  } catch (error) {
    console.log(error instanceof Error ? error.message.slice(0, 2000) : error);
    return false;
  }
}

/** 1, 2 and 4 workers, and random kills of workers and of the run itself, against one process. */
async function proveBits(cache: string, kills: number, random: Random): Promise<boolean> {
  let isAll = true;
  for (const [name, config] of Object.entries(cases)) {
    const folder = await mkdtemp(join(tmpdir(), "federa-prove-"));
    const store = await mkdtemp(join(tmpdir(), "federa-prove-nats-"));
    let server = await startNats({ folder: store });
    const on = ["--workers", server.url, "--ack-wait", "2", "--attempts", "30"];
    const workers = new Workers(server, cache);
    const tell = (text: string, equal: boolean) => {
      isAll &&= equal;
      console.log(`  ${text}: ${equal ? "equal" : "DIFFERENT"}`);
    };
    try {
      await writeTinyProject(folder, config);
      console.log(name);
      const alone = await run(folder, []);
      for (const count of [1, 2, 4]) {
        await workers.start(count - workers.running.length);
        const { results } = await run(folder, on);
        tell(`${count} workers`, isEqual(results, alone.results));
      }
      let killed = 0;
      while (killed < kills / 2) {
        let own = 0;
        const { results } = await run(folder, on, async (command) => {
          await command.says("round 1/", 120).catch(() => {});
          while (command.child.exitCode === null && killed + own < kills / 2) {
            await Promise.race([delay(300 + 2000 * random.uniform()), command.code]);
            if (command.child.exitCode !== null) break;
            // Of those that have come so far, and not the last one.
            const running = workers.running.filter((each) => each.said().includes("waits for a run"));
            if (running.length < 2) continue;
            await workers.kill(running[Math.floor(random.uniform() * running.length)]!);
            own++;
            void workers.start(1).catch(() => {});
          }
        });
        killed += own;
        tell(`${own} workers killed in a run (${killed} of ${kills / 2})`, isEqual(results, alone.results));
      }
      const hung = await run(folder, on, async (command) => {
        await command.says("round 1/", 120);
        const [worker] = workers.running;
        worker!.child.kill("SIGSTOP");
        await delay(5000);
        worker!.child.kill("SIGCONT");
      });
      tell("a worker that hung for 5 s and came back", isEqual(hung.results, alone.results));
      for (const signal of ["SIGKILL", "SIGINT"] as const) {
        const runs = join(folder, "runs");
        await rm(runs, { recursive: true, force: true });
        const command = federa(["run", join(folder, "config.json"), ...on]);
        await command.says("round 1/", 120);
        await delay(1500 * random.uniform());
        command.child.kill(signal);
        await command.code;
        const again = federa(["resume", join(runs, "tiny-001"), ...on]);
        assert.equal(await again.code, 0, again.said());
        tell(
          `the run ended by ${signal} and resumed`,
          isEqual(await resultsIn(join(runs, "tiny-001")), alone.results),
        );
      }
      const { results } = await run(folder, on, async (command) => {
        await command.says("round 2/", 120);
        await server.stop("SIGKILL");
        await delay(1000);
        server = await startNats({ folder: store, port: server.port });
      });
      tell("the server killed and started again", isEqual(results, alone.results));
    } finally {
      await workers.stop();
      await server.stop();
      for (const each of [folder, store]) await rm(each, { recursive: true, force: true });
    }
  }
  return isAll;
}

/** A project of many clients with a text or two each. */
async function writeMany(
  folder: string,
  config: { readonly clients: number; readonly hiddenSize?: number },
  more: object,
): Promise<void> {
  const { clients, hiddenSize } = config;
  await writeTinyProject(folder, { ...tinyBert, partition: { kind: "iid", numClients: clients }, ...more });
  if (hiddenSize !== undefined) await writeTinyCheckpoint(join(folder, "bert"), { seed: 1, hiddenSize });
  const rows = Array.from({ length: 2 * clients }, (_, i) => ({
    text: i % 3 === 0 ? `win a free prize number ${i % 10}` : `minutes of meeting ${i % 10}`,
    label: i % 3 === 0 ? "spam" : "ham",
  }));
  await writeFile(join(folder, "train.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}

/** Bytes that a process holds, and the most that it ever held. */
function memoryOf({ child: { pid } }: Command): { readonly now: number; readonly peak: number } | undefined {
  const path = `/proc/${pid}/status`;
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, "utf8");
  const read = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+) kB`).exec(text)?.[1] ?? 0) / 1000;
  return { now: read("VmRSS"), peak: read("VmHWM") };
}

/** The memory of the process that leads a run with few and many clients a round. */
async function proveMemory(cache: string): Promise<void> {
  for (const clientsPerRound of [100, 1000]) {
    const folder = await mkdtemp(join(tmpdir(), "federa-prove-"));
    const server = await startNats();
    const workers = new Workers(server, cache);
    try {
      const sizes = { clients: clientsPerRound, hiddenSize: 96 };
      await writeMany(folder, sizes, {
        clientsPerRound,
        rounds: 5,
        blockSize: 25,
        evaluateEvery: 0,
        methods: [{ ...plain, rank: 16 }],
      });
      await workers.start(2);
      const figures: string[] = [];
      await run(folder, ["--workers", server.url], async (command) => {
        for (let round = 1; round <= 5; round++) {
          await command.says(`round ${round}/`, 600);
          const memory = memoryOf(command);
          if (memory) figures.push(`${memory.now.toFixed(0)} (${memory.peak.toFixed(0)})`);
        }
      });
      console.log(`  ${clientsPerRound} clients a round: ${figures.join(", ")}`);
    } finally {
      await workers.stop();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    }
  }
}

/** Models of which the time is measured: one whose training takes most of it, and one whose clients send much. */
const measured = [
  { name: "1 step a client", hiddenSize: 96, rank: 8, steps: 1, workers: [1, 2] },
  { name: "20 steps a client", hiddenSize: 96, rank: 8, steps: 20, workers: [1, 2, 4] },
];

/** Time against one process, and what a block costs. */
async function measure(
  cache: string,
  { name, hiddenSize, rank, steps, workers: counts }: (typeof measured)[number],
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "federa-prove-"));
  using gpu = await openGpu();
  const clientsPerRound = 96;
  await writeMany(folder, { clients: clientsPerRound, hiddenSize }, {
    clientsPerRound,
    rounds: 3,
    blockSize: 8,
    batchSize: 8,
    local: { steps },
    evaluateEvery: 0,
    measures: [],
    methods: [{ ...plain, rank }],
  });
  const config = await readConfig(join(folder, "config.json"));
  const play = async (place: string, coordinator?: Coordinator) => {
    const preparation = await prepare(config, gpu, { reporter: silent });
    await makeFolder(join(folder, place));
    const trainers = coordinator && trainersOn(coordinator);
    const before = process.cpuUsage();
    const { runs } = await runExperiment(preparation, {
      reporter: silent,
      folder: join(folder, place),
      trainers,
    });
    const { user, system } = process.cpuUsage(before);
    assert.equal(runs[0]!.status, "finished", runs[0]!.error);
    const history = readFileSync(join(folder, place, "fedit", "history.jsonl"), "utf8");
    const values = Number(/"trainableParameters":(\d+)/.exec(history)?.[1]);
    const rounds = history.split("\n").filter((line) => line.includes('"type":"round"')).map((line) =>
      JSON.parse(line) as { seconds: { training: number; aggregation: number } }
    );
    // The first round compiles kernels.
    const later = rounds.slice(1);
    const mean = (key: "training" | "aggregation") =>
      later.reduce((sum, { seconds }) => sum + seconds[key], 0) / later.length;
    return {
      training: mean("training"),
      aggregation: mean("aggregation"),
      cpu: (user + system) / 1e6,
      values,
    };
  };
  console.log(name);
  try {
    const alone = await play("alone");
    console.log(
      `  one process, ${alone.values.toLocaleString("en")} values a client: ${
        alone.training.toFixed(2)
      } s a round to train ${clientsPerRound} clients, ${alone.aggregation.toFixed(2)} s to aggregate; ${
        alone.cpu.toFixed(1)
      } s of CPU in all`,
    );
    for (const count of counts) {
      const server = await startNats();
      const workers = new Workers(server, cache);
      const blocks: BlockDone[] = [];
      const coordinator = await Coordinator.open(server.url, {
        kind: kindOf(gpu),
        onBlock: (block) => void blocks.push(block),
      });
      try {
        await workers.start(count);
        const { training, aggregation, cpu } = await play(`workers-${count}`, coordinator);
        const later = blocks.filter(({ round }) => round > 1);
        const mean = (key: "bytes" | "trainSeconds" | "readSeconds") =>
          later.reduce((sum, each) => sum + each[key], 0) / later.length;
        const overhead = count * training / (later.length / 2) - mean("trainSeconds");
        console.log(
          `  ${count} workers: ${training.toFixed(2)} s a round, ${
            aggregation.toFixed(2)
          } s to aggregate; a block of 8: ${mean("trainSeconds").toFixed(3)} s to train, ${
            (1000 * overhead).toFixed(0)
          } ms beside that, ${(1000 * mean("readSeconds")).toFixed(1)} ms to read, ${
            (mean("bytes") / 1000).toFixed(1)
          } kB; ${cpu.toFixed(1)} s of CPU in the process that leads`,
        );
      } finally {
        await coordinator.close();
        await workers.stop();
        await server.stop();
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Shows that clients that train on workers come to the bits of one process: with 1, 2 and 4 workers, with workers killed at random
 * and with the run itself killed and resumed; and prints time, memory and what a block costs.
 *
 * Usage: `npm run prove:workers [KILLS] [SEED] [bits|memory|time]`, by default 20 kills and all parts. It starts a nats-server of its own.
 */
async function prove(kills: number, seed: number, part?: string): Promise<boolean> {
  const cache = await mkdtemp(join(tmpdir(), "federa-prove-cache-"));
  try {
    const isAll = part !== undefined && part !== "bits" || await proveBits(cache, kills, new Random(seed));
    if (part === undefined || part === "memory") {
      console.log("Memory of the process that leads the run after each round in MB, and the most so far");
      await proveMemory(cache);
    }
    if (part === undefined || part === "time") {
      console.log("Time, with one thread of the software driver for each worker");
      for (const each of measured) await measure(cache, each);
    }
    return isAll;
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
}

const [kills = "20", seed = "1", part] = process.argv.slice(2);
process.exitCode = await prove(Number(kills), Number(seed), part) ? 0 : 1;
