import { freemem } from "node:os";
import process from "node:process";
import { create, globals } from "webgpu";
import { spaceOutPolls } from "./_poll_node.ts";

let gpu: GPU | undefined;

/** Dawn's WebGPU implementation, created once per process. */
export function webgpu(): GPU | undefined {
  if (gpu === undefined) {
    Object.assign(globalThis, globals);
    spaceOutPolls();
    gpu = create([]) as GPU;
  }
  return gpu;
}

/** Bytes that this process may still take, a limit on its container counted. */
export function freeMemory(): number | undefined {
  return process.availableMemory?.() ?? freemem();
}

/** What a user without an adapter should do. */
export const adapterAdvice =
  "install a Vulkan driver (on Debian or Ubuntu: libvulkan1 and mesa-vulkan-drivers 23 or newer, which include a software driver), " +
  "or run `npm run setup:gpu` in a checkout of federa";
