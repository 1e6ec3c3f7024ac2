import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { readConfig } from "../../../../src/experiment/config/parse_config.ts";
import { prepare } from "../../../../src/experiment/run/prepare.ts";
import { runExperiment } from "../../../../src/experiment/run/run_experiment.ts";
import type { MethodSummary } from "../../../../src/experiment/run/summary.ts";
import { connectNats } from "../../../../src/network/nats/connection.ts";
import {
  Coordinator,
  type CoordinatorOptions,
} from "../../../../src/network/nats/workers/coordinator/coordinator.ts";
import { kindOf } from "../../../../src/network/nats/workers/bits_node.ts";
import { workerPermissions } from "../../../../src/network/nats/workers/names.ts";
import { checkWorkers, trainersOn } from "../../../../src/network/nats/workers/coordinator/trainers_node.ts";
import { work, type WorkerOptions } from "../../../../src/network/nats/workers/worker/worker_node.ts";
import { openGpu } from "../../../../src/engine/mod.ts";
import { testGpu } from "../../../engine/harness.ts";
import { FakeWorker } from "../../../support/fake_worker.ts";
import { type NatsServer, startNats, withoutNats } from "../../../support/nats_server.ts";
import { federa } from "../../../support/run_on_workers.ts";
import { resultsIn } from "../../../support/run_results.ts";
import { silent } from "../../../support/silent_reporter.ts";
import { temporaryFolder } from "../../../support/temporary_files.ts";
import { tinyBert, tinyProject } from "../../../support/tiny_project.ts";

const skip = await withoutNats();
const gpu = await testGpu();
const [method] = tinyBert.methods;
const cache = temporaryFolder();
const certificate = (name: string) => new URL(`../../../support/tls/${name}.pem`, import.meta.url).pathname;

interface Ran {
  /** All that must be the same, wherever clients train. */
  readonly results: Record<string, unknown>;
  readonly runs: readonly MethodSummary[];
}

async function run(project: string, name: string, coordinator?: Coordinator): Promise<Ran> {
  const folder = join(project, name);
  await mkdir(folder);
  const preparation = await prepare(await readConfig(join(project, "config.json")), gpu, {
    reporter: silent,
  });
  const held = gpu.stats().liveBytes;
  const trainers = coordinator && trainersOn(coordinator);
  const { runs } = await runExperiment(preparation, { reporter: silent, folder, trainers });
  assert.equal(gpu.stats().liveBytes, held, "a run left something on the GPU");
  return { runs, results: await resultsIn(folder) };
}

/** The lead of a queue, and what it reports. */
async function lead(
  server: NatsServer,
  more: Partial<CoordinatorOptions> = {},
): Promise<{ readonly coordinator: Coordinator; readonly lines: string[] }> {
  const lines: string[] = [];
  const report = (line: string) => void lines.push(line);
  const coordinator = await Coordinator.open(server.url, {
    kind: kindOf(gpu),
    waitSeconds: 30,
    ackWaitSeconds: 2,
    report,
    ...more,
  });
  return { coordinator, lines };
}

/** A worker in this process, with a device of its own. */
async function worker(server: NatsServer, options: WorkerOptions = {}): Promise<void> {
  using own = await openGpu();
  const held = own.stats().liveBytes;
  await work(own, server.url, { once: true, cache, waitSeconds: 30, ...options });
  assert.equal(own.stats().liveBytes, held, "a worker left something on its device");
}

test(
  "a run on two workers, by TLS and with the least permissions, has the bits of one process and leaves nothing",
  { skip },
  async (t) => {
    const project = await tinyProject(t, {
      ...tinyBert,
      blockSize: 2,
      partition: { kind: "iid", numClients: 5 },
      clientsPerRound: 4,
      optimizer: { name: "sgd" },
      codec: { name: "topk", share: 0.25 },
      methods: [{ ...method, algorithm: "scaffold" }],
    });
    const expected = await run(project, "alone");
    const { publish, subscribe } = workerPermissions("tiny");
    await using server = await startNats({
      tls: { cert: certificate("server"), key: certificate("server.key") },
      config: `authorization { users: [
        { user: lead, password: a },
        { user: worker, password: b, permissions: ${JSON.stringify({ publish, subscribe })} }
      ] }`,
    });
    const tls = { ca: readFileSync(certificate("ca"), "utf8") };
    const { coordinator, lines } = await lead(server, { queue: "tiny", user: "lead", password: "a", tls });
    const options = { queue: "tiny", user: "worker", password: "b", tls };
    const workers = [worker(server, options), worker(server, options)];
    const found = await run(project, "together", coordinator);
    assert.deepEqual(found.results, expected.results);
    await coordinator.close();
    await Promise.all(workers);
    assert.doesNotMatch(server.log(), /Permissions Violation/);
    assert.match(lines.join("\n"), /\(1 in all\)\n.*\(2 in all\)/);
    const connection = await connectNats(server.url, { user: "lead", password: "a", tls });
    assert.deepEqual(
      await (await jetstreamManager(connection)).streams.list().next(),
      [],
      "something is left",
    );
    await connection.close();
  },
);

test(
  "a run goes on to the same bits when a worker is killed, and another sends something else",
  { skip },
  async (t) => {
    const project = await tinyProject(t, { ...tinyBert, blockSize: 1, rounds: 2, local: { steps: 4 } });
    const expected = await run(project, "alone");
    await using server = await startNats();
    const { coordinator, lines } = await lead(server);
    const victim = federa(["worker", "--nats", server.url, "--cache", cache, "--name", "victim"]);
    await victim.says("waits for a run");
    await using fake = await FakeWorker.open(server.url, { worker: "fake", kind: kindOf(gpu) });
    const going = run(project, "together", coordinator);
    await fake.answer(async (block) => ({ outcome: await fake.put(new Uint8Array(block.clients.length)) }));
    await victim.says("A run takes this worker");
    victim.child.kill("SIGKILL");
    const other = worker(server);
    assert.deepEqual((await going).results, expected.results);
    await coordinator.close();
    await other;
    const said = lines.join("\n");
    assert.match(said, /Worker victim is here/);
    assert.match(said, /Worker fake is sent away: worker fake sent a wrong result: it can't be read/);
  },
);

test(
  "a run loses the clients of a block that fails too often, and goes on without them",
  { skip },
  async (t) => {
    const project = await tinyProject(t, { ...tinyBert, blockSize: 1, rounds: 1 });
    await using server = await startNats();
    const { coordinator } = await lead(server, { attempts: 1, ackWaitSeconds: 1 });
    await using fake = await FakeWorker.open(server.url, { worker: "fake", kind: kindOf(gpu) });
    const going = run(project, "one", coordinator);
    // The first block comes first.
    await fake.take();
    await fake.answer(() => Promise.resolve({ failed: "it is too hot" }));
    const other = worker(server);
    const { results, runs } = await going;
    const records = results["fedit/history.jsonl"] as { type: string; client?: number; reason?: string }[];
    const lost = records.filter(({ type }) => type === "client-lost");
    assert.deepEqual(lost.map(({ client, reason }) => [client, reason]), [
      [0, "its block was given up: the worker that had it went silent"],
      [1, "its block was given up: it is too hot"],
    ]);
    assert.equal(runs[0]!.status, "finished");
    await coordinator.close();
    await other;
  },
);

test("a run without workers says so, waits and ends; one on a queue that another leads never begins", {
  skip,
}, async (t) => {
  const project = await tinyProject(t, { ...tinyBert, rounds: 1 });
  await using server = await startNats();
  const { coordinator, lines } = await lead(server, { waitSeconds: 1 });
  await assert.rejects(lead(server), /Cannot lead the queue default: another run does/);
  const { runs } = await run(project, "nobody", coordinator);
  assert.deepEqual(lines, ["No worker is there; waiting up to 1 s for one: federa worker --nats URL"]);
  assert.equal(runs[0]!.status, "failed");
  assert.match(
    runs[0]!.error ?? "",
    /no worker has taken part in the queue default for 1 s; start one with federa worker/,
  );
  await coordinator.close();
});

test("a worker of another kind is refused by name, on both sides", { skip }, async () => {
  await using server = await startNats();
  const others = { federa: "0.0.9", arithmetic: 1, adapter: "another adapter" };
  for (const [key, value] of Object.entries(others)) {
    const { coordinator, lines } = await lead(server, { kind: { ...kindOf(gpu), [key]: value } });
    const why = new RegExp(
      `it has federa .*, the run has 0.0.9|the run has 1$|that of the run another adapter`,
    );
    await assert.rejects(worker(server, { worker: "odd" }), { name: "WorkerRefusedError", message: why });
    assert.match(lines.join(), /^Worker odd is refused: /);
    await coordinator.close();
  }
});

test("checkWorkers() refuses hostile clients, who train in one process", async (t) => {
  const project = await tinyProject(t, { ...tinyBert, attackers: { share: 0.3, kind: "sign-flip" } });
  const config = await readConfig(join(project, "config.json"));
  assert.throws(
    () => checkWorkers(config),
    /Cannot run attackers on workers: hostile clients look at each other/,
  );
  checkWorkers({ attackers: undefined });
});
