// Measures the stages named on the command line, one after another, and reports each row by a line of JSON on the standard
// output. A process of its own: where a stage takes too long, run.ts ends it and starts another for the rest.
//   node ... bench/gpu/measure.ts [--quick] STAGE...
import process from "node:process";
import { parseArgs } from "node:util";
import { openGpu } from "../../src/engine/mod.ts";
import { type Ceilings, measureCeilings } from "./ceilings.ts";
import type { GpuRow } from "./row.ts";
import { stages } from "./stages/mod.ts";
import { type PeerDescription, TorchPeer } from "./torch.ts";

/** A line of the standard output. */
export type Progress =
  | {
    readonly type: "ready";
    readonly adapter: object;
    readonly ceilings: Ceilings;
  }
  | { readonly type: "torch"; readonly torch: PeerDescription | { readonly missing: string } }
  | { readonly type: "start"; readonly stage: string }
  | { readonly type: "row"; readonly stage: string; readonly row: GpuRow }
  | { readonly type: "end"; readonly stage: string; readonly error?: string };

const { values: { quick }, positionals: names } = parseArgs({
  options: { quick: { type: "boolean", default: false } },
  allowPositionals: true,
});
const write = process.stdout.write.bind(process.stdout);
console.log = console.error;
const report = (progress: Progress) => write(`${JSON.stringify(progress)}\n`);

const starting = TorchPeer.start().catch((error: Error) => ({ missing: error.message }));
using gpu = await openGpu({ powerPreference: "high-performance" });
const ceilings = await measureCeilings(gpu, { quick });
report({
  type: "ready",
  adapter: {
    ...gpu.adapter,
    features: [...gpu.device.features].sort(),
    maxBindingBytes: gpu.maxBindingBytes,
    maxWorkgroupStorageBytes: gpu.device.limits.maxComputeWorkgroupStorageSize,
  },
  ceilings,
});
const torch = await starting;
const isThere = "peer" in torch;
report({ type: "torch", torch: isThere ? torch.description : torch });
for (const stage of names) {
  report({ type: "start", stage });
  try {
    const rows = stages[stage]!({
      ...{ gpu, ceilings, quick },
      torch: isThere ? torch.peer : undefined,
      isCuda: isThere && torch.description.cuda !== null,
    });
    for await (const row of rows) report({ type: "row", stage, row });
    report({ type: "end", stage });
  } catch (error) {
    // The other stages still have something to say.
    report({
      type: "end",
      stage,
      error: error instanceof Error ? error.stack ?? error.message : String(error),
    });
  }
}
if (isThere) torch.peer.close();
