const burst = 100;
const pauseMilliseconds = 1;
const waitGapMilliseconds = 5;

/**
 * Spaces out Dawn's polls. While a promise of the device is pending, its Node binding polls in a busy loop through the
 * global `setImmediate`, which takes a core away from a software device (measured: 36 % of the CPU time of a training run).
 * After the first hundred polls of a wait, when anything short has long been answered, they come a millisecond apart.
 *
 * Only native callbacks are delayed, and only Dawn schedules those; JavaScript's own go through as they are.
 */
export function spaceOutPolls(): void {
  const immediate = globalThis.setImmediate;
  let polls = 0;
  let last = 0;
  const spaced = (callback: (...args: unknown[]) => void, ...args: unknown[]) => {
    if (!isNative(callback)) return immediate(callback, ...args);
    const now = performance.now();
    polls = now - last > waitGapMilliseconds ? 1 : polls + 1;
    last = now;
    return polls > burst ? setTimeout(callback, pauseMilliseconds, ...args) : immediate(callback, ...args);
  };
  globalThis.setImmediate = Object.defineProperties(
    spaced,
    Object.getOwnPropertyDescriptors(immediate),
  ) as typeof immediate;
}

function isNative(callback: unknown): boolean {
  return typeof callback === "function" && callback.name === "" &&
    Function.prototype.toString.call(callback).endsWith("{ [native code] }");
}
