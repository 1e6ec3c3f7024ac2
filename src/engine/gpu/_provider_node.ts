import { AsyncLocalStorage } from "node:async_hooks";
import { freemem } from "node:os";
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create, globals } from "webgpu";
import { spaceOutPolls } from "./_poll_node.ts";
import { withoutNoise } from "./_quiet_node.ts";

let gpu: GPU | undefined;
const currentTask = new AsyncLocalStorage<object>();

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

/**
 * Collects what nothing refers to. WebGPU has no way to free a bind group, so its native part lives until JavaScript's collector comes by,
 * which little JavaScript memory makes rare.
 */
export function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

/** What a user without an adapter should do. */
export const adapterAdvice =
  "install a Vulkan driver (on Debian or Ubuntu: libvulkan1 and mesa-vulkan-drivers 23 or newer, which include a software driver), " +
  "or run `npm run setup:gpu` in a checkout of federa";

/** Runs `body` as a part of `task`. */
export function runAs<T>(task: object, body: () => T): T {
  return currentTask.run(task, body);
}

/** Whether the caller is a part of `task`, also after an `await`. */
export function belongsTo(task: object): boolean {
  return currentTask.getStore() === task;
}
