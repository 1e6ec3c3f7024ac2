import { LruMap } from "./_lru.ts";
import type { BindingAccess, Kernel, KernelConstant } from "./kernel.ts";

/** A compiled kernel with the layout its bind groups follow. */
export interface Pipeline {
  /** Unique within its cache. */
  readonly id: number;
  readonly kernel: Kernel;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Bytes of the window that a kernel sees of the parameter ring. */
export const paramsWindowBytes = 256;

const maxPipelines = 1024;

/** Compiled kernels, keyed by kernel and constants; at most 1,024 are kept. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #pipelines = new LruMap<string, Pipeline>(maxPipelines);
  readonly #layouts = new Map<string, { group: GPUBindGroupLayout; pipeline: GPUPipelineLayout }>();
  readonly #kernelIds = new Map<Kernel, number>();
  #created = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Pipelines compiled so far. */
  get created(): number {
    return this.#created;
  }

  /** The pipeline of `kernel` under `constants`, compiled on first use. */
  get(kernel: Kernel, constants: Readonly<Record<string, KernelConstant>>): Pipeline {
    let kernelId = this.#kernelIds.get(kernel);
    if (kernelId === undefined) this.#kernelIds.set(kernel, kernelId = this.#kernelIds.size);
    let key = `${kernelId}`;
    for (const name in constants) key += `,${name}=${constants[name]}`;
    return this.#pipelines.getOrCreate(key, () => this.#compile(kernel, constants));
  }

  #compile(kernel: Kernel, constants: Readonly<Record<string, KernelConstant>>): Pipeline {
    const layout = this.#layout(kernel.bindings);
    const module = this.#device.createShaderModule({ label: kernel.name, code: kernel.text(constants) });
    const pipeline = this.#device.createComputePipeline({
      label: kernel.name,
      layout: layout.pipeline,
      compute: { module, entryPoint: kernel.entry },
    });
    return { id: this.#created++, kernel, pipeline, layout: layout.group };
  }

  #layout(bindings: readonly BindingAccess[]) {
    const key = bindings.join();
    let layout = this.#layouts.get(key);
    if (layout === undefined) {
      const visibility = 4; // GPUShaderStage.COMPUTE
      const group = this.#device.createBindGroupLayout({
        entries: [
          { binding: 0, visibility, buffer: { type: "uniform", hasDynamicOffset: true } },
          ...bindings.map((access, i): GPUBindGroupLayoutEntry => ({
            binding: i + 1,
            visibility,
            buffer: { type: access === "read" ? "read-only-storage" : "storage" },
          })),
        ],
      });
      layout = { group, pipeline: this.#device.createPipelineLayout({ bindGroupLayouts: [group] }) };
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}
