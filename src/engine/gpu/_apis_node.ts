import { AsyncLocalStorage } from "node:async_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const currentTask = new AsyncLocalStorage<object>();

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
