export { adapterAdvice, belongsTo, collectGarbage, runAs } from "./_apis_node.ts";

/** What is used of Deno's own interface. */
interface DenoGlobal {
  readonly Deno: {
    systemMemoryInfo(): { readonly available: number };
    readonly permissions: {
      querySync(wanted: { name: "sys"; kind: "systemMemoryInfo" }): { readonly state: string };
    };
  };
}

/** Deno's own WebGPU implementation, wgpu. */
export function webgpu(): GPU | undefined {
  return globalThis.navigator?.gpu;
}

/** Bytes that this process can still allocate; not known without the permission to look, which isn't asked for. */
export function freeMemory(): number | undefined {
  const { permissions, systemMemoryInfo } = (globalThis as unknown as DenoGlobal).Deno;
  const { state } = permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
  return state === "granted" ? systemMemoryInfo().available : undefined;
}
