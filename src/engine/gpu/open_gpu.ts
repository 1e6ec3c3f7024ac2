import { adapterAdvice, webgpu } from "#webgpu-provider";
import { NoAdapterError } from "../errors.ts";
import { type AdapterClass, Gpu } from "./device.ts";

/** Options of {@linkcode openGpu}. */
export interface OpenGpuOptions {
  /** Which adapter to prefer if there are several. */
  readonly powerPreference?: GPUPowerPreference;
  /** Overrides the detected class; tests use it to run the kernels of the other class. */
  readonly adapterClass?: AdapterClass;
  /** Bytes of released buffers kept for reuse; 1 GiB by default. */
  readonly maxIdleBytes?: number;
}

/**
 * Opens an adapter with its own limits, and with subgroups, f16 and timestamps if it supports them.
 *
 * @throws {NoAdapterError} when there is none; the message says what to install.
 * @example
 * ```ts
 * import { openGpu, tensor, matmul } from "federa/engine";
 *
 * using gpu = await openGpu();
 * const a = tensor(gpu, [1, 2, 3, 4], { shape: [2, 2] });
 * console.log(await matmul(a, a).data()); // 7, 10, 15, 22
 * ```
 */
export async function openGpu(options: OpenGpuOptions = {}): Promise<Gpu> {
  const { powerPreference } = options;
  const adapter = await webgpu()?.requestAdapter(powerPreference === undefined ? {} : { powerPreference });
  if (!adapter) throw new NoAdapterError(`Cannot find a WebGPU adapter; ${adapterAdvice}`);
  const wanted: GPUFeatureName[] = ["subgroups", "shader-f16", "timestamp-query"] as GPUFeatureName[];
  const device = await adapter.requestDevice({
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
    requiredLimits: ownLimits(adapter.limits),
  });
  const { vendor, device: name, description, architecture } = adapter.info;
  // Browsers name a software adapter by its architecture alone, or as the one they fall back on.
  const looksLikeCpu = adapter.info.isFallbackAdapter === true ||
    /llvmpipe|lavapipe|swiftshader|cpu/i.test(`${vendor} ${name} ${description} ${architecture}`);
  const adapterClass = options.adapterClass ?? (looksLikeCpu ? "cpu" : "gpu");
  const texels = adapterClass === "cpu" && readsTexels(adapter, device) ? { readsTexels: true } : {};
  return new Gpu(
    device,
    {
      vendor,
      device: name,
      description,
      class: adapterClass,
      ...onlySubgroupSize(adapter, device),
      ...texels,
    },
    options.maxIdleBytes ?? 2 ** 30,
  );
}

function ownLimits(limits: GPUSupportedLimits): Record<string, number> {
  const own: Record<string, number> = {};
  for (const name in limits) {
    const value = (limits as unknown as Record<string, unknown>)[name];
    if (typeof value === "number") own[name] = value;
  }
  return own;
}

/**
 * Mesa's software driver loads a texel as one vector of 128 bits, and the elements of a buffer one by one. With 16 lanes (`LP_NATIVE_VECTOR_WIDTH`
 * of 512) its textures hold wrong values in the upper eight (25.0.7).
 */
function readsTexels(adapter: GPUAdapter, device: GPUDevice): boolean {
  return onlySubgroupSize(adapter, device).subgroupSize === 8 &&
    webgpu()!.wgslLanguageFeatures.has("readonly_and_readwrite_storage_textures");
}

function onlySubgroupSize(adapter: GPUAdapter, device: GPUDevice): { subgroupSize?: number } {
  const { subgroupMinSize, subgroupMaxSize } = adapter.info;
  return device.features.has("subgroups") && subgroupMinSize === subgroupMaxSize
    ? { subgroupSize: subgroupMinSize }
    : {};
}
