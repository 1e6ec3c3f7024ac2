/** The browser's own WebGPU implementation, if it has one. */
export function webgpu(): GPU | undefined {
  return globalThis.navigator?.gpu;
}

/** Not known in browsers. */
export function freeMemory(): number | undefined {
  return undefined;
}

/** Browsers collect what nothing refers to by themselves. */
export function collectGarbage(): void {}

/** What a user without an adapter should do. */
export const adapterAdvice = "use a browser with WebGPU enabled, over https or on localhost";

/** Runs `body` as a part of `task`. */
export function runAs<T>(_task: object, body: () => T): T {
  return body();
}

/** Whether the caller is a part of `task`, also after an `await`. Browsers have no way to know, so the answer is always yes. */
export function belongsTo(_task: object): boolean {
  return true;
}
