import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { measureProcess } from "../../../bench/federation/processes.ts";

const skip = process.platform !== "linux";

test("measureProcess() counts time and memory of a process and of its children", { skip }, async () => {
  // Each holds 64 MB, of which every page is written, and says how much time it has taken; the child burns 0.8 s.
  const say =
    "const said = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6; };";
  const hold = `${say} const held = Buffer.alloc(64e6, 1);`;
  const burn = `${hold} while (said() < 0.8); console.log(said() + held[0] - 1);`;
  const run = `require("node:child_process").execFileSync(process.execPath, ["-e", ${JSON.stringify(burn)}])`;
  const parent = `${hold} const child = Number(${run}); console.log(child + said() + held[0] - 1);`;
  const { usage, output } = await measureProcess([process.execPath, "-e", parent], process.env);
  const said = Number(output);
  assert.ok(said > 0.8);
  // Of each process up to a look's 0.1 s is missed, and more where this one gets no look in; ticks are of 0.01 s.
  assert.ok(
    usage.cpuSeconds > said / 2 && usage.cpuSeconds < said + 0.1,
    `${usage.cpuSeconds} s, said ${said}`,
  );
  assert.ok(usage.peakBytes > 128e6 && usage.peakBytes < 128e6 + 200e6, `${usage.peakBytes} bytes`);
  assert.ok(usage.seconds > usage.cpuSeconds / 4);
});

test("measureProcess() throws with what a failed process has said", { skip }, async () => {
  const failing = [process.execPath, "-e", "console.error('out of luck'); process.exit(3)"];
  await assert.rejects(measureProcess(failing, process.env), /ended with 3:\nout of luck/);
});
