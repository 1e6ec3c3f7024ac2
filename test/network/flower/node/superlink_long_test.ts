import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { flowerPrograms, withoutFlower } from "../../../interop/flower/programs.ts";
import { startSuperlink, type Superlink } from "../../../interop/flower/superlink.ts";
import { temporaryFolder } from "../../../support/temporary_files.ts";

const app = fileURLToPath(new URL("../../../interop/flower/app", import.meta.url));
const program = fileURLToPath(new URL("../../../interop/flower/plus_one_node.ts", import.meta.url));
const skip = withoutFlower;
const folder = temporaryFolder();

/** What a run came to: its final values, and how many nodes answered and failed in each round. */
interface Final {
  readonly values: number[];
  readonly rounds: [answers: number, failures: number][];
}

async function startLink(t: TestContext, name: string, port?: number): Promise<Superlink> {
  const own = join(folder, name);
  mkdirSync(own);
  const link = await startSuperlink({
    programs: await flowerPrograms(),
    folder: own,
    ...(port !== undefined && { port }),
  });
  t.after(() => link.stop());
  return link;
}

/** Starts a node in a process of its own, which is killed after the test. */
function startNode(t: TestContext, link: Superlink, name: string, seconds: number): ChildProcess {
  const child = spawn(process.execPath, [
    "--import",
    "./scripts/register.mjs",
    program,
    link.url,
    join(folder, `${name}.key`),
    `${seconds}`,
  ], { stdio: ["ignore", "pipe", "pipe"] });
  const log = createWriteStream(join(folder, `${name}.log`), { flags: "a" });
  for (const stream of [child.stdout, child.stderr]) stream.pipe(log, { end: false });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

/** Waits until a node says that it has joined; what it prints goes on into its log. */
async function joined(node: ChildProcess): Promise<void> {
  let printed = "";
  await new Promise<void>((resolve, reject) => {
    node.once("exit", () => reject(new Error(`A node ended before it joined:\n${printed}`)));
    node.stdout!.on("data", (chunk) => {
      printed += chunk;
      if (printed.includes("Joined")) resolve();
    });
  });
}

function finalOf(printed: string): Final {
  const [, json] = /^FINAL (.*)$/m.exec(printed) ?? assert.fail(`no final values in\n${printed}`);
  return JSON.parse(json!) as Final;
}

/**
 * The values begin as four zeros and three ones; each round that somebody answered adds one. The server's weights of a third are
 * rounded: three roundings of values below 64 in each of 40 rounds stay below 40 · 3 · 2⁻¹⁸ < 0.001, and a lost round would be 1.
 */
function assertCounts({ values, rounds }: Final, expected: number): void {
  assert.equal(rounds.length, expected);
  const answered = rounds.filter(([answers]) => answers > 0).length;
  const wanted = [...Array(4).fill(answered), ...Array(3).fill(1 + answered)];
  assert.equal(values.length, wanted.length);
  values.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) < 1e-3, `${values} isn't ${wanted}`));
}

test("a run ends right although nodes are killed 20 times at random moments", { skip }, async (t) => {
  const link = await startLink(t, "kills");
  const nodes = [0, 1, 2].map((n) => startNode(t, link, `killed-${n}`, 1));
  let kills = 0;
  const end = new AbortController();
  const killing = (async () => {
    // From the first reply on.
    while (!(await link.log()).includes("Push replies")) await delay(200);
    while (kills < 20 && !end.signal.aborted) {
      await delay(1000 + Math.random() * 8000);
      const n = Math.floor(Math.random() * nodes.length);
      nodes[n]!.kill("SIGKILL");
      await once(nodes[n]!, "exit");
      nodes[n] = startNode(t, link, `killed-${n}`, 1);
      kills++;
    }
  })();
  const begun = performance.now();
  const final = finalOf(
    await link.run(app, { config: { rounds: 40, "min-nodes": 2, "fraction-evaluate": 0.0 }, seconds: 900 }),
  );
  end.abort();
  await killing;
  const answers = final.rounds.reduce((sum, [each]) => sum + each, 0);
  const failures = final.rounds.reduce((sum, [, each]) => sum + each, 0);
  t.diagnostic(
    `${kills} kills, 40 rounds in ${
      Math.round((performance.now() - begun) / 1000)
    } s: ${answers} answers, ${failures} failures, ` +
      `values ${final.values.join(" ")}`,
  );
  t.diagnostic(`answers and failures by round: ${final.rounds.map((each) => each.join("/")).join(" ")}`);
  assert.equal(kills, 20);
  assert.ok(failures > 0);
  assertCounts(final, 40);
});

test("a run of 30 rounds goes on while a node leaves and joins", { skip }, async (t) => {
  const link = await startLink(t, "leaves");
  const others = [0, 1].map((n) => startNode(t, link, `stays-${n}`, 0));
  let leaves = 0;
  const end = new AbortController();
  await Promise.all(others.map(joined));
  const coming = (async () => {
    while (!end.signal.aborted) {
      const node = startNode(t, link, "comes", 0);
      await joined(node);
      await delay(12_000);
      node.kill("SIGINT");
      const [code] = await once(node, "exit");
      assert.equal(code, 0);
      leaves++;
      await delay(2000);
    }
  })();
  const begun = performance.now();
  const final = finalOf(
    await link.run(app, { config: { rounds: 30, "min-nodes": 2, "fraction-evaluate": 0.0 }, seconds: 600 }),
  );
  end.abort();
  await coming;
  t.diagnostic(
    `30 rounds in ${
      Math.round((performance.now() - begun) / 1000)
    } s, ${leaves} times left: answers and failures by round ` +
      final.rounds.map((each) => each.join("/")).join(" "),
  );
  assert.ok(leaves >= 5);
  assertCounts(final, 30);
  assert.ok(final.rounds.every(([answers]) => answers >= 2));
  assert.ok(final.rounds.some(([answers]) => answers === 3));
  for (const node of others) assert.equal(node.exitCode, null);
});

test(
  "nodes come back to a server that stood still for a minute, and to one that was started anew",
  { skip },
  async (t) => {
    const link = await startLink(t, "away");
    const nodes = [0, 1].map((n) => startNode(t, link, `waits-${n}`, 0));
    await Promise.all(nodes.map(joined));
    // Between runs: a run whose server stands still for so long is given up by Flower itself, whose server has heard nothing of its program.
    link.signal("SIGSTOP");
    await delay(60_000);
    link.signal("SIGCONT");
    const still = finalOf(
      await link.run(app, { config: { rounds: 4, "min-nodes": 2, "fraction-evaluate": 0.0 }, seconds: 400 }),
    );
    t.diagnostic(
      `stood still for 60 s: ${still.rounds.map((each) => each.join("/")).join(" ")}, values ${
        still.values.join(" ")
      }`,
    );
    assertCounts(still, 4);
    await link.stop();
    await delay(60_000);
    const next = await startLink(t, "anew", Number(new URL(link.url).port));
    const anew = finalOf(await next.run(app, { config: { rounds: 2, "min-nodes": 2 }, seconds: 200 }));
    t.diagnostic(
      `stopped for 60 s and started anew: ${anew.rounds.map((each) => each.join("/")).join(" ")}, values ${
        anew.values.join(" ")
      }`,
    );
    assert.deepEqual(anew, { values: [2, 2, 2, 2, 3, 3, 3], rounds: [[2, 0], [2, 0]] });
    for (const node of nodes) assert.equal(node.exitCode, null);
    t.diagnostic((await readFile(join(folder, "waits-0.log"), "utf8")).replaceAll("\n", " | "));
  },
);
