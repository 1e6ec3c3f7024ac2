/** The browser's own WebGPU implementation, if it has one. */
export function webgpu(): GPU | undefined {
  return globalThis.navigator?.gpu;
}

/** Browsers don't tell. */
export function freeMemory(): number | undefined {
  return undefined;
}

/** What a user without an adapter should do. */
export const adapterAdvice = "use a browser with WebGPU enabled, over https or on localhost";
