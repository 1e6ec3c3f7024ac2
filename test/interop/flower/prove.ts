// Federations of a real SuperLink, in words for people: npm run prove:flower [-- numbers | mixed | learns | kills]
// FEDERA_FLOWER_PEFT names the bin folder of an environment with flwr, torch, transformers and peft, for the mixed federations;
// FEDERA_MINILM the folder of all-MiniLM-L6-v2 and FEDERA_SNIPS that of SNIPS, for the one that learns.
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { setUpFlower } from "../../../scripts/setup_flower.ts";
import type { HostTensors } from "../../../src/fl/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { joinTiny } from "../../support/flower_nodes.ts";
import { decodeHostTensors } from "../../support/host_tensors.ts";
import {
  descent,
  largestDifference,
  parametersOf,
  runConfigOf,
  simulateTiny,
  type TinyFederation,
  writeClientFile,
} from "../../support/tiny_federation.ts";
import { writeTinyProject } from "../../support/tiny_project.ts";
import {
  freePort,
  killProgram,
  startProgram,
  startSuperlink,
  stopProgram,
  type Superlink,
} from "./superlink.ts";

const app = fileURLToPath(new URL("../../../examples/flower", import.meta.url));
const cli = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));
const register = new URL("../../../scripts/register.mjs", import.meta.url).href;

type RunConfig = Readonly<Record<string, string | number | boolean>>;

/** Runs work in a folder of its own, beside a SuperLink. */
async function withLink<T>(work: (link: Superlink, folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "federa-flower-"));
  await writeTinyProject(folder, {});
  await mkdir(join(folder, "link"));
  const link = await startSuperlink({ programs: await setUpFlower(), folder: join(folder, "link") });
  try {
    return await work(link, folder);
  } finally {
    await link.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The final values of a run, and what the server printed. */
async function runApp(
  link: Superlink,
  folder: string,
  config: RunConfig,
): Promise<{ readonly values: HostTensors; readonly printed: string; readonly seconds: number }> {
  const output = join(folder, "final.safetensors");
  await rm(output, { force: true });
  const begin = performance.now();
  const printed = await link.run(app, { config: { ...config, output }, seconds: 1800 });
  if (!existsSync(output)) throw new Error(`Cannot compare ${app}: it left nothing, and printed\n${printed}`);
  return {
    values: decodeHostTensors(await readFile(output)),
    printed,
    seconds: (performance.now() - begin) / 1000,
  };
}

/** Values that a run and a simulation share. */
function shared(expected: HostTensors, found: HostTensors): HostTensors {
  return new Map([...found.keys()].map((name) => [name, expected.get(name)!]));
}

/** Four nodes in one process, one after the other in fedit, federa and federa-exact, against simulate(). */
async function numbers(): Promise<void> {
  const gpu = await testGpu();
  await withLink(async (link, folder) => {
    const federation = { rounds: 3, steps: 2, numClients: 4, ...descent };
    const leaving = new AbortController();
    let models: HostTensors[] = [];
    const nodes = [0, 1, 2, 3].map((client) =>
      joinTiny(gpu, {
        superlink: link.url,
        folder,
        client,
        federation: { ...federation, method: "federa" },
        signal: leaving.signal,
        writeModel: async ({ model }) => {
          models.push(await parametersOf(model));
        },
      })
    );
    try {
      for (const optimizer of ["sgd", "adamw"] as const) {
        for (const method of ["fedit", "federa", "federa-exact"]) {
          models = [];
          const tiny: TinyFederation = {
            ...federation,
            method,
            optimizer,
            ...optimizer === "adamw" && { learningRate: 0.01 },
          };
          const config = { ...runConfigOf(tiny), "min-nodes": 4 };
          const { values, seconds } = await runApp(link, folder, config);
          const adapter = new Map([...values].filter(([name]) => !name.includes(".correction.")));
          const expected = await simulateTiny(gpu, folder, tiny);
          const difference = largestDifference(adapter, shared(expected, adapter));
          // With the frozen weights, which federa-exact changes.
          const whole = Math.max(...models.map((model) => largestDifference(model, expected)));
          const corrections = [...values].filter(([name]) => name.includes(".correction."));
          const largest = corrections.flatMap(([, { data }]) => [...data]).reduce(
            (most, x) => Math.max(most, Math.abs(x)),
            0,
          );
          if (corrections.length > 0) {
            console.log(`factors of corrections are up to ${largest.toExponential(1)}`);
          }
          console.log(
            `${method}, ${optimizer}: 4 nodes, 3 rounds in ${
              seconds.toFixed(0)
            } s; from simulate(): the adapter by ${
              difference.toExponential(1)
            }, each of ${models.length} nodes' whole model by at most ${whole.toExponential(1)}`,
          );
          if (optimizer === "sgd") assert.ok(difference <= 1e-6 && whole <= 1e-6 && models.length === 4);
        }
      }
    } finally {
      leaving.abort();
      await Promise.allSettled(nodes);
    }
  });
}

/** A node of federa in a process of its own, from the command line. */
function startNode(
  link: Superlink,
  folder: string,
  { client, model, data, test, save }: {
    readonly client: number;
    readonly model: string;
    readonly data: string;
    readonly test?: string | undefined;
    readonly save?: string;
  },
): ChildProcess {
  const parameters = [
    ...["--import", register, cli, "flower-node", "--superlink", link.url, "--model", model],
    ...["--data", data, "--client", `${client}`, "--folder", join(folder, `node-${client}`)],
    ...test === undefined ? [] : ["--test", test],
    ...save === undefined ? [] : ["--save", save],
  ];
  return startProgram(process.execPath, parameters, {
    env: process.env,
    logFile: join(folder, `node-${client}.log`),
  });
}

/** A node of PyTorch + PEFT, run by Flower's own SuperNode. */
async function startPeftNode(
  link: Superlink,
  folder: string,
  { client, model, data, test }: Parameters<typeof startNode>[2],
): Promise<ChildProcess> {
  const programs = process.env["FEDERA_FLOWER_PEFT"];
  if (!programs) {
    throw new Error(
      "Cannot start a node of PyTorch + PEFT: name the bin folder of its environment in FEDERA_FLOWER_PEFT",
    );
  }
  const config = { "partition-id": client, model, data, ...test !== undefined && { test } };
  const nodeConfig = Object.entries(config).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(
    " ",
  );
  return startProgram(join(programs, "flower-supernode"), [
    ...["--insecure", "--superlink", link.url.replace("http://", ""), "--port", `${await freePort()}`],
    ...["--node-config", nodeConfig],
  ], {
    env: { ...link.env, PATH: `${programs}:${process.env["PATH"]}`, OMP_NUM_THREADS: "1" },
    logFile: join(folder, `peft-${client}.log`),
  });
}

/** What a federation of three comes to, the third of federa or of PyTorch + PEFT. */
async function threeNodes(
  third: "federa" | "peft",
  { config, model, dataOf, test }: {
    readonly config: RunConfig;
    readonly model: (folder: string) => string;
    readonly dataOf: (folder: string, client: number) => Promise<string>;
    readonly test?: string | undefined;
  },
) {
  return await withLink(async (link, folder) => {
    const node = async (client: number) => ({
      client,
      model: model(folder),
      data: await dataOf(folder, client),
      test,
    });
    const nodes = [
      startNode(link, folder, await node(0)),
      startNode(link, folder, await node(1)),
      third === "peft"
        ? await startPeftNode(link, folder, await node(2))
        : startNode(link, folder, await node(2)),
    ];
    try {
      const run = await runApp(link, folder, {
        ...config,
        "min-nodes": 3,
        "num-clients": 3,
        "start-by": "server",
        base: model(folder),
      });
      for (const client of [0, 1]) {
        console.log(
          `  node ${client} printed:\n${indent(await readFile(join(folder, `node-${client}.log`), "utf8"))}`,
        );
      }
      return run;
    } catch (error) {
      for (const name of (await readdir(folder)).filter((each) => each.endsWith(".log"))) {
        console.log(`  ${name}:\n${indent(await readFile(join(folder, name), "utf8"))}`);
      }
      throw error;
    } finally {
      await Promise.all(nodes.map(stopProgram));
    }
  });
}

/**
 * A mixed federation and one of federa's nodes alone. Both add up f32 in other orders, which moves a step's gradients by about 1e-6 of
 * themselves; plain descent adds these up over the rounds, so the difference is held against how far the adapter moved.
 */
async function compareMixed(
  title: string,
  options: Parameters<typeof threeNodes>[1],
  { tolerance }: { readonly tolerance: number },
): Promise<void> {
  const [mixed, ours] = [await threeNodes("peft", options), await threeNodes("federa", options)];
  for (const [name, { printed, seconds }] of Object.entries({ mixed, "all of federa": ours })) {
    const lines = printed.split("\n").filter((line) => /Aggregated MetricRecord: \{|client \d\):/.test(line));
    console.log(`${title}, ${name}, ${seconds.toFixed(0)} s:\n${indent(lines.join("\n"))}`);
  }
  const moved = (name: string) => !name.includes(".correction.");
  const part = (values: HostTensors) => new Map([...values].filter(([name]) => moved(name)));
  const [a, b] = [part(mixed.values), part(ours.values)];
  const difference = norm(a, (x, name, i) => x - b.get(name)!.data[i]!);
  const size = norm(b, (x) => x);
  console.log(
    `${title}: mixed and federa's alone differ by ${
      (difference / size).toExponential(1)
    } of the adapter's norm, at most ${largestDifference(a, b).toExponential(1)} in a value`,
  );
  assert.ok(difference / size <= tolerance, `expected at most ${tolerance}`);
}

/** The norm of what is made of each value. */
function norm(values: HostTensors, of: (x: number, name: string, i: number) => number): number {
  let sum = 0;
  for (const [name, { data }] of values) data.forEach((x, i) => sum += of(x, name, i) ** 2);
  return Math.sqrt(sum);
}

function indent(text: string): string {
  return text.trim().replaceAll(/^/gm, "    ");
}

/** Two nodes of federa and one of PyTorch + PEFT, on a tiny model. */
async function mixed(): Promise<void> {
  for (const method of ["fedit", "federa", "federa-exact"]) {
    const tiny = { method, rounds: 2, steps: 2, numClients: 3, ...descent };
    await compareMixed(method, {
      config: runConfigOf(tiny),
      model: (folder) => join(folder, "bert"),
      dataOf: (folder, client) => writeClientFile(folder, client, { numClients: 3 }),
    }, { tolerance: 1e-5 });
  }
}

/** The same on all-MiniLM-L6-v2 and the intents of SNIPS: three people with 120 sentences each. */
async function learns(): Promise<void> {
  const [model, snips] = [process.env["FEDERA_MINILM"]!, process.env["FEDERA_SNIPS"]!];
  const rows = (await readFile(join(snips, "train.jsonl"), "utf8")).split("\n").slice(0, 360)
    .map((line) => JSON.parse(line) as { text: string; label: string });
  const tests = (await readFile(join(snips, "validate.jsonl"), "utf8")).split("\n").slice(0, 140)
    .map((line) => JSON.parse(line) as { text: string; label: string });
  const labels = [...new Set(rows.map(({ label }) => label))].sort();
  const folder = await mkdtemp(join(tmpdir(), "federa-snips-"));
  const write = async (name: string, some: readonly { text: string; label: string }[]) => {
    const path = join(folder, name);
    await writeFile(path, some.map(({ text, label }) => `${JSON.stringify({ text, label })}\n`).join(""));
    return path;
  };
  try {
    await compareMixed("FeDeRA on all-MiniLM-L6-v2 and SNIPS", {
      config: {
        method: "federa",
        rank: 4,
        alpha: 8,
        labels: labels.join(","),
        "max-length": 32,
        "local-steps": 10,
        "batch-size": 8,
        "learning-rate": 0.1,
        optimizer: "sgd",
        rounds: 3,
      },
      model: () => model,
      dataOf: (_, client) => write(`client-${client}.jsonl`, rows.filter((_, i) => i % 3 === client)),
      test: await write("test.jsonl", tests),
    }, { tolerance: 1e-3 });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Nodes of federa are killed at random moments while FeDeRA-Exact trains, and started again: rounds go on without them, and in the end
 * all have the same weights, whatever corrections they had missed and whichever of their uploads were lost.
 */
async function kills(): Promise<void> {
  await withLink(async (link, folder) => {
    const tiny = { method: "federa-exact", rounds: 8, steps: 2, numClients: 3, ...descent };
    const start = async (client: number) =>
      startNode(link, folder, {
        client,
        model: join(folder, "bert"),
        data: await writeClientFile(folder, client, tiny),
        save: join(folder, `model-${client}`),
      });
    const nodes = await Promise.all([0, 1, 2].map(start));
    let [killed, isOver] = [0, false];
    const killing = async () => {
      while (!isOver && killed < 12) {
        await sleep(6000 + 8000 * Math.random());
        if (isOver) return;
        const client = Math.floor(3 * Math.random());
        killProgram(nodes[client]!);
        killed++;
        await sleep(500);
        nodes[client] = await start(client);
      }
    };
    try {
      const over = runApp(link, folder, { ...runConfigOf(tiny), "min-nodes": 3 }).finally(() =>
        isOver = true
      );
      const [{ printed, seconds }] = await Promise.all([over, killing()]);
      const failures = [...printed.matchAll(/aggregate_train: Received (\d) results and (\d) failures/g)];
      console.log(
        `federa-exact, ${tiny.rounds} rounds in ${
          seconds.toFixed(0)
        } s, ${killed} kills; replies and failures of each round: ` +
          failures.map(([, results, failed]) => `${results}+${failed}`).join(" "),
      );
      const models = await Promise.all(
        [0, 1, 2].map(async (client) =>
          decodeHostTensors(await readFile(join(folder, `model-${client}`, "adapter.safetensors")))
        ),
      );
      const differences = models.slice(1).map((model) => largestDifference(models[0]!, model));
      console.log(`the models of all three differ by at most ${Math.max(...differences).toExponential(1)}`);
      assert.equal(failures.length, tiny.rounds);
      assert.ok(Math.max(...differences) <= 1e-6);
    } finally {
      await Promise.all(nodes.map(stopProgram));
    }
  });
}

const proofs = { numbers, mixed, learns, kills };
const asked = process.argv.slice(2);
for (const [name, prove] of Object.entries(proofs)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  console.log(`== ${name}`);
  await prove();
}
process.exit(0);
