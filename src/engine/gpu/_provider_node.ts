import { freemem } from "node:os";
import process from "node:process";
import { create, globals } from "webgpu";
import { spaceOutPolls } from "./_poll_node.ts";
import { withoutNoise } from "./_quiet_node.ts";

export { adapterAdvice, belongsTo, collectGarbage, runAs } from "./_apis_node.ts";

let gpu: GPU | undefined;

/** Dawn's WebGPU implementation, created once per process. */
export function webgpu(): GPU | undefined {
  if (gpu === undefined) {
    Object.assign(globalThis, globals);
    spaceOutPolls();
    const created = create([]) as GPU;
    // The first request makes Dawn look for adapters. It then prints that it has lowered limits of Mesa's software driver,
    // which don't matter here; none of its options silences that.
    withoutNoise(() => void created.requestAdapter(), isLoweredLimit);
    gpu = created;
  }
  return gpu;
}

function isLoweredLimit(line: string): boolean {
  return /^Warning: maxDynamic\w+BuffersPerPipelineLayout artificially reduced from \d+ to \d+/.test(line);
}

/** Bytes that this process can still allocate, within the limit of its container. */
export function freeMemory(): number | undefined {
  return process.availableMemory?.() ?? freemem();
}
