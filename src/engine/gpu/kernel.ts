import { expandShader, type KernelConstant, type Place, placeInSource } from "./_expand.ts";

export type { KernelConstant };

/** How a kernel touches a binding: a storage buffer, or texels (a storage texture of four f32 a texel). */
export type BindingAccess = "read" | "write" | "read texels" | "write texels";

/** The description of a {@linkcode Kernel}. */
export interface KernelOptions {
  /** Name for labels and error messages. */
  readonly name: string;
  /** Text of a `.wgsl` file; valid WGSL once {@linkcode expandShader} has put a header of constants before it. */
  readonly source: string;
  /** Entry point; `main` by default. */
  readonly entry?: string;
  /**
   * Access of each binding, in order from `@binding(1)`; binding 0 is the uniform `params`.
   */
  readonly bindings: readonly BindingAccess[];
}

/**
 * One entry point of a hand-written `.wgsl` file. With a set of constants it becomes a pipeline; sizes are passed
 * at launch in the uniform `params`, so that the number of pipelines stays small.
 */
export class Kernel {
  readonly name: string;
  readonly entry: string;
  readonly bindings: readonly BindingAccess[];
  readonly #source: string;

  constructor(options: KernelOptions) {
    this.name = options.name;
    this.#source = options.source;
    this.entry = options.entry ?? "main";
    this.bindings = options.bindings;
  }

  /** The WGSL text for a set of constants; see {@linkcode expandShader}. */
  text(constants: Readonly<Record<string, KernelConstant>>): string {
    return expandShader(this.#source, constants);
  }

  /** Where a line (from 1) of that text stands in the `.wgsl` files; undefined for the header of constants. */
  placeOf(line: number, constants: Readonly<Record<string, KernelConstant>>): Place | undefined {
    return placeInSource(this.#source, constants, line);
  }
}
