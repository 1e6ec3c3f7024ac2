import { texelFormat } from "./buffer_pool.ts";
import type { BindingAccess, Kernel, KernelConstant } from "./kernel.ts";

/** A compiled kernel with the layout its bind groups follow. */
export interface Pipeline {
  /** Unique within its cache. */
  readonly id: number;
  readonly kernel: Kernel;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Bytes of the parameter ring that a kernel can read. */
export const paramsWindowBytes = 256;

const maxPipelines = 1024;

/** Where compilers put a kernel's label and the line: Dawn, then wgpu where it parses and where it validates. */
const messageForms = [
  { label: /ShaderModule\w* "+([^"]+)"/, line: /:(\d+):\d+ error/ },
  { label: /Shader '([^']+)' parsing error/, line: /┌─ wgsl:(\d+):\d+/ },
  { label: /┌─ (.+):\d+:\d+/, line: /┌─ .+:(\d+):\d+/ },
] as const;

type Constants = Readonly<Record<string, KernelConstant>>;

/** A tree of pipelines by constants: one level for each name, and one for its value. */
interface Branch {
  pipeline?: Pipeline;
  readonly branches: Map<KernelConstant, Branch>;
}

/** Compiled kernels by kernel and constants; starts anew after 1,024 of them. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #kernels = new Map<Kernel, Branch>();
  readonly #layouts = new Map<string, { group: GPUBindGroupLayout; pipeline: GPUPipelineLayout }>();
  /** What was compiled under each label. */
  readonly #compiled = new Map<string, { kernel: Kernel; constants: Constants }>();
  #created = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Pipelines compiled so far. */
  get created(): number {
    return this.#created;
  }

  /** The pipeline of `kernel` under `constants`, compiled on first use. */
  get(kernel: Kernel, constants: Constants | undefined): Pipeline {
    let branch = step(this.#kernels, kernel);
    for (const name in constants) branch = step(step(branch.branches, name).branches, constants[name]!);
    if (branch.pipeline === undefined) {
      branch.pipeline = this.#compile(kernel, constants ?? {});
      if (this.#created % maxPipelines === 0) {
        this.#kernels.clear();
        this.#compiled.clear();
      }
    }
    return branch.pipeline;
  }

  /** Where in the `.wgsl` files a message of the compiler points to; undefined where it points to none. */
  placeOf(message: string): string | undefined {
    for (const { label, line } of messageForms) {
      const compiled = this.#compiled.get(label.exec(message)?.[1] ?? "");
      const number = Number(line.exec(message)?.[1]);
      if (compiled !== undefined) return compiled.kernel.placeOf(number, compiled.constants);
    }
    return undefined;
  }

  #compile(kernel: Kernel, constants: Constants): Pipeline {
    const id = this.#created++;
    const label = `${kernel.name} ${id}`;
    this.#compiled.set(label, { kernel, constants });
    const layout = this.#layout(kernel.bindings);
    const module = this.#device.createShaderModule({ label, code: kernel.text(constants) });
    const pipeline = this.#device.createComputePipeline({
      label,
      layout: layout.pipeline,
      compute: { module, entryPoint: kernel.entry },
    });
    return { id, kernel, pipeline, layout: layout.group };
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
            ...layouts[access],
          })),
        ],
      });
      layout = { group, pipeline: this.#device.createPipelineLayout({ bindGroupLayouts: [group] }) };
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}

const layouts: Readonly<Record<BindingAccess, Omit<GPUBindGroupLayoutEntry, "binding" | "visibility">>> = {
  "read": { buffer: { type: "read-only-storage" } },
  "write": { buffer: { type: "storage" } },
  "read texels": { storageTexture: { access: "read-only", format: texelFormat } },
  "write texels": { storageTexture: { access: "write-only", format: texelFormat } },
};

function step<Key>(branches: Map<Key, Branch>, key: Key): Branch {
  let next = branches.get(key);
  if (next === undefined) branches.set(key, next = { branches: new Map() });
  return next;
}
