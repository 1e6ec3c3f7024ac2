import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { Gpu } from "../../src/engine/gpu/device.ts";
import { testGpu } from "../engine/harness.ts";
import { root } from "../support/installed_package.ts";
import { runProgram } from "../support/run_program.ts";
import { without } from "../support/tools.ts";
import { type Outcome, tinyFederation } from "./tiny_federation.ts";

const skip = without("deno");

/** Runs on Deno, in this order; the last repeats the first. */
const runs = [["fedit", 3], ["fedit", 1], ["federa", 3], ["federa", 1], ["fedit", 3]] as const;

test("simulate() on Deno repeats its bits, whatever the size of a block, and they are those of Node", {
  skip,
}, async () => {
  const program = `
    import process from "node:process";
    import { openGpu } from "./src/engine/mod.ts";
    import { tinyFederation } from "./test/deno/tiny_federation.ts";
    const outcomes = [];
    for (const [method, blockSize] of ${JSON.stringify(runs)}) {
      using gpu = await openGpu();
      outcomes.push(await tinyFederation(gpu, method, blockSize));
    }
    process.stdout.write(JSON.stringify(outcomes));
  `;
  const [{ status, stdout, stderr }, node] = await Promise.all([
    runProgram(program, { deno: true }),
    onNode(),
  ]);
  assert.equal(status, 0, stderr);
  const [fedit, feditAlone, federa, federaAlone, feditAgain] = JSON.parse(stdout) as Outcome[];
  assert.deepEqual(feditAgain, fedit, "FedIT, once more");
  assert.deepEqual(feditAlone, fedit, "FedIT, one client at a time");
  assert.deepEqual(federaAlone, federa, "FeDeRA, one client at a time");
  assert.notDeepEqual(federa, fedit, "the two methods");
  if (node === null) return;
  assert.deepEqual(fedit, node.fedit, "FedIT on Node");
  assert.deepEqual(federa, node.federa, "FeDeRA on Node");
});

/**
 * The same on Node, with the kernels that Deno's adapter takes: those for an unknown size of subgroups, as it has none. The order of
 * every sum is then the same, and so are the bits, as both compile for one software driver. A graphics card's driver may
 * round differently what it gets from another compiler, so there is nothing to compare with there.
 */
async function onNode(): Promise<Record<"fedit" | "federa", Outcome> | null> {
  const { device, adapter } = await testGpu();
  if (adapter.class !== "cpu") return null;
  const { subgroupSize: _, readsTexels: __, ...plain } = adapter;
  const gpu = new Gpu(device, plain, 2 ** 28);
  return { fedit: await tinyFederation(gpu, "fedit", 3), federa: await tinyFederation(gpu, "federa", 3) };
}

test("the engine's tests pass on Deno, a few of them", { skip }, () => {
  const words = [
    "gpu/device_test",
    "gpu/quiet_test",
    "engine/tensor_test",
    "engine/backward_test",
    "ops/memory_test",
  ];
  const args = ["--import", "./scripts/register.mjs", "scripts/test_deno.ts", ...words];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: "utf8",
    timeout: 300_000,
  });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /^5 files on Deno: \d+ tests passed, 0 failed/m);
});
