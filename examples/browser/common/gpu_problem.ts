/** Why this page can't use WebGPU, and what a person can do about it; undefined where it can. */
export async function gpuProblem(): Promise<string | undefined> {
  if (!globalThis.isSecureContext) {
    return `Browsers give the graphics processor to secure pages alone, and this one came over plain http from ${location.host}. ` +
      "Open it over https, or serve it on this computer and open it as http://localhost.";
  }
  if (navigator.gpu === undefined) {
    return "This browser has no WebGPU, which training needs. Use Chrome or Edge 113 or later, Safari 26 or later, or Firefox 141 or later. " +
      "Where one of these is at hand already, WebGPU may be switched off: on Linux, Chrome wants the flag " +
      "chrome://flags/#enable-unsafe-webgpu.";
  }
  if (await navigator.gpu.requestAdapter() === null) {
    return "This browser has WebGPU, but finds no graphics processor that it trusts. Switch on hardware acceleration in the browser's " +
      "settings, update the graphics driver, and start the browser again; chrome://gpu or about:support says what is wrong.";
  }
  return undefined;
}
