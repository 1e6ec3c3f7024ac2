import optimizerSource from "../../shaders/optim/optimizer.wgsl";
import normsSource from "../../shaders/optim/member_norms.wgsl";
import { f32Bits, type Gpu } from "../gpu/device.ts";
import { Kernel } from "../gpu/kernel.ts";
import { ones } from "../ops/create.ts";
import { launch } from "../ops/launch.ts";
import { formatShape, sameShape } from "../shape.ts";
import { empty, type Tensor, tensor } from "../tensor.ts";
import { keep, tidy } from "../tidy.ts";
import type { StepOptions } from "./optimizer.ts";
import { wholeOf, zerosPacked } from "./packed.ts";

/** Elements of one workgroup. Always the same, so that a member's norm is always summed in the same order. */
const chunkLength = 1024;

const readings = ["read", "read", "read", "read", "write", "write"] as const;
const optimizers = {
  sgd: new Kernel({ name: "sgd", source: optimizerSource, entry: "sgd", bindings: readings }),
  adamw: new Kernel({
    name: "adamw",
    source: optimizerSource,
    entry: "adamw",
    bindings: [...readings, "write"],
  }),
};
const norm = ["read", "read", "write"] as const;
const squaresKernel = new Kernel({ name: "squares", source: normsSource, entry: "squares", bindings: norm });
const factorsKernel = new Kernel({ name: "factors", source: normsSource, entry: "factors", bindings: norm });

/** Adjacent parameters that one launch covers, from `first` to before `end`. */
interface Run {
  readonly first: number;
  readonly end: number;
}

/**
 * An optimiser's parameters [C, ...] and as many moments of each as it needs, side by side in memory and zero at first. One
 * launch steps all tensors that lie side by side; others take a launch each, with the same bits.
 */
export class OptimizerState {
  readonly #gpu: Gpu;
  readonly #kernel: keyof typeof optimizers;
  readonly #parameters: readonly Tensor[];
  /** One list for each moment. */
  readonly #moments: readonly (readonly Tensor[])[];
  readonly #members: number;
  readonly #ones: Tensor;
  /** The chunks of a member's elements, [.., 4]; see `optimizer.wgsl`. */
  readonly #chunks: Tensor;
  /** The first chunk of each parameter, and the number of all chunks. */
  readonly #firstChunk: readonly number[];

  constructor(parameters: readonly Tensor[], kernel: keyof typeof optimizers, moments: number) {
    this.#members = membersOf(parameters);
    this.#gpu = parameters[0]!.gpu;
    this.#kernel = kernel;
    this.#parameters = parameters;
    const shapes = parameters.map((each) => each.shape);
    this.#moments = Array.from({ length: moments }, () => zerosPacked(this.#gpu, shapes).map(keep));
    this.#ones = keep(ones(this.#gpu, [this.#members]));
    const firstChunk = [0];
    const chunks = this.#moments[0]!.flatMap(({ offset, size }) => {
      const own = this.#members === 0 ? 0 : size / this.#members;
      const count = Math.ceil(own / chunkLength);
      firstChunk.push(firstChunk.at(-1)! + count);
      return Array.from({ length: count }, (_, i) => {
        const from = i * chunkLength;
        return [offset, own, from, Math.min(chunkLength, own - from)];
      });
    });
    this.#firstChunk = firstChunk;
    this.#chunks = keep(tensor(this.#gpu, Uint32Array.from(chunks.flat()), { shape: [chunks.length, 4] }));
  }

  /** One step; `scalars` are the kernel's parameters from `rate` on. */
  step(gradients: readonly Tensor[], scalars: readonly number[], options: StepOptions): void {
    checkGradients(this.#parameters, gradients);
    const { active = this.#ones, clipNorm } = options;
    tidy(() => {
      const scale = clipNorm === undefined ? this.#ones : this.#clipFactors(gradients, clipNorm);
      for (const run of this.#runs(gradients, this.#parameters)) {
        const { chunks, total } = this.#extent(run);
        if (total === 0) continue;
        launch(optimizers[this.#kernel], {
          tensors: [
            this.#chunks,
            active,
            scale,
            ...[gradients, this.#parameters, ...this.#moments].map((each) =>
              wholeOf(this.#gpu, each[run.first]!.storage)
            ),
          ],
          params: [
            this.#firstChunk[run.first]!,
            chunks,
            total,
            this.#shift(gradients, run),
            this.#shift(this.#parameters, run),
            ...scalars,
          ],
          threads: 64 * total,
        });
      }
    });
  }

  /** Frees the moments. */
  dispose(): void {
    for (const each of [this.#ones, this.#chunks, ...this.#moments.flat()]) each.dispose();
  }

  /** f32 [C]: min(1, maxNorm / (‖g‖₂ + 1e-6)) over all elements of a member. */
  #clipFactors(gradients: readonly Tensor[], maxNorm: number): Tensor {
    if (!(maxNorm > 0)) {
      throw new RangeError(`Cannot clip gradients to norm ${maxNorm}: expected a positive number`);
    }
    const isCooperative = this.#gpu.adapter.class === "gpu";
    const constants = { COOPERATIVE: isCooperative };
    const allChunks = this.#firstChunk.at(-1)!;
    const partial = empty(this.#gpu, [this.#members, allChunks]);
    for (const run of this.#runs(gradients)) {
      const { chunks, total } = this.#extent(run);
      launch(squaresKernel, {
        tensors: [this.#chunks, wholeOf(this.#gpu, gradients[run.first]!.storage), partial],
        params: [this.#firstChunk[run.first]!, chunks, total, this.#shift(gradients, run), allChunks],
        threads: isCooperative ? 64 * total : total,
        constants,
      });
    }
    const factors = empty(this.#gpu, [this.#members]);
    launch(factorsKernel, {
      tensors: [this.#chunks, partial, factors],
      params: [0, 1, this.#members, 0, allChunks, f32Bits(maxNorm)],
      threads: isCooperative ? 64 * this.#members : this.#members,
      constants,
    });
    return factors;
  }

  /** Runs of parameters whose tensors in each list lie side by side in the same way as their moments. */
  *#runs(...lists: readonly (readonly Tensor[])[]): Generator<Run> {
    const all = [...lists, this.#moments[0]!];
    const [place] = this.#moments as [readonly Tensor[]];
    for (let first = 0; first < place.length;) {
      let end = first + 1;
      const continues = (list: readonly Tensor[]) =>
        list[end]!.storage === list[first]!.storage &&
        list[end]!.offset - place[end]!.offset === list[first]!.offset - place[first]!.offset;
      while (end < place.length && all.every(continues)) end++;
      yield { first, end };
      first = end;
    }
  }

  /** Chunks of a run for one member, and for all members. */
  #extent({ first, end }: Run): { chunks: number; total: number } {
    const chunks = this.#firstChunk[end]! - this.#firstChunk[first]!;
    return { chunks, total: chunks * this.#members };
  }

  /** How much further a list's tensors start than the moments, modulo 2³². */
  #shift(list: readonly Tensor[], { first }: Run): number {
    return (list[first]!.offset - this.#moments[0]![first]!.offset) >>> 0;
  }
}

/** Number of members of parameters with a leading axis. */
function membersOf(parameters: readonly Tensor[]): number {
  const members = parameters[0]?.shape[0];
  if (members === undefined || parameters.some((each) => each.shape[0] !== members)) {
    throw new TypeError(
      `Cannot optimise parameters of shapes ${
        parameters.map((each) => formatShape(each.shape)).join(", ")
      }: expected one leading extent`,
    );
  }
  return members;
}

function checkGradients(parameters: readonly Tensor[], gradients: readonly Tensor[]): void {
  if (gradients.length !== parameters.length) {
    throw new TypeError(
      `Cannot step ${parameters.length} parameters with ${gradients.length} gradients: expected one each`,
    );
  }
  parameters.forEach((parameter, i) => {
    if (!sameShape(parameter.shape, gradients[i]!.shape)) {
      throw new TypeError(
        `Cannot step parameter ${i} of shape ${formatShape(parameter.shape)} with a gradient of shape ${
          formatShape(gradients[i]!.shape)
        }`,
      );
    }
  });
}
