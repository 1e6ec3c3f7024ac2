import {
  addMatmul,
  clone,
  disposeAll,
  type Gpu,
  keep,
  type LowRankProduct,
  type Tensor,
  zeros,
} from "../../engine/mod.ts";

/**
 * A growing sum of low-rank products [m, n]. It's held as a stack of their factors, and from where that would take more memory
 * than the matrix does as the matrix: so never more than m·n floats.
 */
export class ProductSum {
  readonly #gpu: Gpu;
  readonly #shape: readonly [number, number];
  #stack: LowRankProduct[] = [];
  #dense: Tensor | null = null;

  constructor(gpu: Gpu, shape: readonly [number, number]) {
    this.#gpu = gpu;
    this.#shape = shape;
  }

  /** Adds a product b·a of b [m, k] and a [k, n], and takes over both. */
  add({ b, a }: LowRankProduct): void {
    const [m, n] = this.#shape;
    this.#stack.push({ b: keep(b), a: keep(a) });
    const terms = this.#stack.reduce((total, { a }) => total + a.shape[0]!, 0);
    if (this.#dense === null && terms * (m + n) < m * n) return;
    this.#dense ??= keep(zeros(this.#gpu, this.#shape));
    this.#addStack(this.#dense);
    this.#clear();
  }

  /** The sum as a matrix of its own. The terms are added in their order whichever way they are held, so its bits are the same. */
  matrix(): Tensor {
    if (this.#dense) return clone(this.#dense);
    const sum = zeros(this.#gpu, this.#shape);
    this.#addStack(sum);
    return sum;
  }

  /** Frees what it holds. */
  dispose(): void {
    this.#clear();
    this.#dense?.dispose();
    this.#dense = null;
  }

  #addStack(target: Tensor): void {
    for (const { b, a } of this.#stack) addMatmul(target, b, a);
  }

  #clear(): void {
    disposeAll(this.#stack.flatMap(({ b, a }) => [b, a]));
    this.#stack = [];
  }
}
