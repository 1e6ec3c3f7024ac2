import {
  assign,
  gather,
  mul,
  ones,
  randomKey,
  RandomStream,
  scatter,
  type Tensor,
  tensor,
  tidy,
  where,
} from "../../../../engine/mod.ts";

/** Options of {@linkcode SparseEntries}. */
export interface SparseEntriesOptions {
  /** Share of each row's entries that are drawn, at least one. */
  readonly density: number;
  readonly seed: number;
  /** Names the draw, so that each layer has its own. */
  readonly layer: string;
}

/**
 * Some entries of a weight [out, in], drawn by the seed: k = round(density·in) columns in each row. Both sides know the seed,
 * so values are sent without their places.
 */
export class SparseEntries {
  readonly #out: number;
  readonly #width: number;
  readonly #perRow: number;
  /** [out, k], row-major. */
  readonly #columns: Uint32Array;

  /** @param shape ends with [out, in]. */
  constructor(shape: readonly number[], { density, seed, layer }: SparseEntriesOptions) {
    const [out, width] = shape.slice(-2) as [number, number];
    const perRow = Math.max(1, Math.round(density * width));
    const stream = new RandomStream(randomKey(seed, "slora", layer));
    this.#columns = new Uint32Array(out * perRow);
    for (let row = 0; row < out; row++) {
      this.#columns.set(stream.sampleWithoutReplacement(width, perRow).sort((a, b) => a - b), row * perRow);
    }
    [this.#out, this.#width, this.#perRow] = [out, width, perRow];
  }

  /** Their values in x [out, in] or [C, out, in], as [..., out, k]. */
  valuesOf(x: Tensor): Tensor {
    const leading = x.shape.slice(0, -2);
    const members = leading[0] ?? 1;
    const columns = new Uint32Array(members * this.#columns.length);
    for (let member = 0; member < members; member++) {
      columns.set(this.#columns, member * this.#columns.length);
    }
    const index = tensor(x.gpu, columns, { shape: [...leading, this.#out, this.#perRow] });
    return gather(x, index, { axis: -1 });
  }

  /** A matrix [out, in] of values [out, k] at their places and zeros elsewhere. */
  matrixOf(values: Tensor): Tensor {
    const index = tensor(values.gpu, this.#columns, { shape: [this.#out, this.#perRow] });
    return scatter(values, index, { axis: -1, length: this.#width });
  }

  /** x [out, in] with values [out, k] at their places. */
  replaced(x: Tensor, values: Tensor): Tensor {
    return tidy(() => where(this.#mask(x), { then: this.matrixOf(values), otherwise: x }));
  }

  /** Sets every other entry of x [..., out, in] to zero, in place. */
  keepOnly(x: Tensor): void {
    tidy(() => assign(x, mul(x, this.#mask(x))));
  }

  #mask({ gpu }: Tensor): Tensor {
    return this.matrixOf(ones(gpu, [this.#out, this.#perRow]));
  }
}
