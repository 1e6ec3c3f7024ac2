/** The browser's own WebGPU implementation, if it has one. */
export function webgpu(): GPU | undefined {
  return globalThis.navigator?.gpu;
}

/** What a user without an adapter should do. */
export const adapterAdvice = "use a browser with WebGPU enabled, over https or on localhost";
