import {
  accumulate,
  add,
  addMatmul,
  addWeighted,
  concat,
  disposeAll,
  keep,
  mul,
  neg,
  reshape,
  sameShape,
  slice,
  sub,
  sumBatch,
  sumOfSquares,
  type Tensor,
  tidy,
  toFloat,
  zeros,
} from "../../engine/mod.ts";
import { adaptersOf, type LowRankLinear } from "../../federa/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import type { Ranks } from "../method.ts";
import type { Uploads } from "../aggregation/aggregator.ts";
import type { Figures, Measure, MeasuredPlan } from "./measure.ts";
import { ownScaling } from "./_own_scaling.ts";
import { ProductSum } from "./_product_sum.ts";

/**
 * What averaging loses of low-rank updates, over all adapted layers:
 *
 * - `aggregationError` is ‖E‖_F / ‖ΔW‖_F. Averaging A and B apart loses E = s·(Σ p_k·B_k·A_k − B̄·Ā) of the exact change
 *   ΔW = s·(Σ p_k·B_k·A_k − B·A), B·A being the round's start.
 * - `appliedError` is ‖W′ − W − ΔW‖_F / ‖ΔW‖_F, of the effective weights before and after the round: what the method's own way of
 *   aggregating, or of starting a round anew, made of the exact change.
 *
 * Both are null without adapters, of DoRA, whose change isn't s·B·A, or when nothing moved. E is summed as Σ p_k·(B_k − B₁)·(A_k − A₁) less the product of the means
 * of these differences from the cohort's first client, an identity for weights that add up to one. So nothing cancels, and equal
 * clients have an error of exactly zero.
 *
 * A factor that isn't uploaded counts as unmoved; of a client of its own rank, s_k·B_k·A_k is what counts. Until the round ends there is one sum a layer, which takes no more memory than
 * the clients' factors or the weight, whichever is less; then two matrices, of one layer at a time.
 */
export function aggregationError(): Measure {
  return new AggregationError();
}

class AggregationError implements Measure {
  readonly name = "aggregation-error";
  readonly seesEach = true;
  #before = new Map<string, LowRankLinear>();
  #ranks: Ranks | undefined;
  #sums = new Map<string, LayerSums>();

  begin(model: TaskModel, { ranks }: MeasuredPlan = {}): void {
    this.dispose();
    this.#before = adaptersOf(model);
    this.#ranks = ranks;
  }

  add({ clients, values, shares, weights }: Uploads): void {
    const total = shares.reduce((sum, share) => sum + Math.fround(share), 0);
    for (const [name, adapter] of this.#before) {
      let sums = this.#sums.get(name);
      if (sums === undefined) this.#sums.set(name, sums = new LayerSums(adapter));
      const [a, b] = [values.get(`${name}.loraA`), values.get(`${name}.loraB`)];
      tidy(() => {
        const own = ownScaling(adapter, this.#ranks, clients);
        sums.add({ a, b: own && b ? mul(b, reshape(own, [-1, 1, 1])) : b, weights, total });
      });
    }
  }

  async end(model: TaskModel): Promise<Figures> {
    const after = adaptersOf(model);
    const found = [...this.#sums].flatMap(([name, sums]) => {
      const adapter = after.get(name);
      if (adapter === undefined) return [];
      return [{ scaling: sums.scaling, norms: tidy(() => sums.norms(adapter)).map(keep) }];
    });
    if (found.length === 0) return { aggregationError: null, appliedError: null };
    const rows = keep(tidy(() => concat(found.flatMap(({ norms }) => norms))));
    disposeAll(found.flatMap(({ norms }) => norms));
    try {
      const values = await rows.floats();
      const [lost, change, gap] = [0, 1, 2].map((column) =>
        found.reduce((sum, { scaling }, i) => sum + scaling ** 2 * values[3 * i + column]!, 0)
      ) as [number, number, number];
      const ratio = (error: number) => change > 0 ? Math.sqrt(error / change) : null;
      return { aggregationError: ratio(lost), appliedError: ratio(gap) };
    } finally {
      rows.dispose();
    }
  }

  dispose(): void {
    for (const sums of this.#sums.values()) sums.dispose();
    this.#sums = new Map();
    this.#before = new Map();
  }
}

/** One factor of one layer: the first client's, and the sum of the others' differences from it. */
interface FactorSum {
  readonly first: Tensor;
  /** Σ w_k·(x_k − x₁). */
  readonly difference: Tensor;
}

/** The sums of one layer's clients. */
class LayerSums {
  readonly #before: LowRankLinear;
  readonly #products: ProductSum;
  #a: FactorSum | null = null;
  #b: FactorSum | null = null;
  /** Σ w_k. */
  total = 0;
  /** s at the start of the round. */
  readonly scaling: number;

  constructor(before: LowRankLinear) {
    this.#before = before;
    this.scaling = before.sharedScaling;
    this.#products = new ProductSum(before.weight.gpu, before.weight.shape as [number, number]);
  }

  /** Adds clients by their factors A [C, r, in] and B [C, out, r], those that were sent. */
  add(
    { a, b, weights, total }: {
      a: Tensor | undefined;
      b: Tensor | undefined;
      weights: Tensor;
      total: number;
    },
  ): void {
    this.total += total;
    const differenceOf = (x: Tensor, sum: FactorSum) => {
      const difference = sub(x, sum.first);
      addWeighted(sum.difference, difference, weights);
      return difference;
    };
    const dA = a && differenceOf(a, this.#a ??= startSum(a));
    const dB = b && differenceOf(b, this.#b ??= startSum(b));
    if (dA && dB) this.#products.add(sumBatch({ b: dB, a: dA }, weights));
  }

  /** Squares of ‖E‖/s, ‖ΔW‖/s and ‖W′ − W − ΔW‖/s. */
  norms(after: LowRankLinear): Tensor[] {
    const before = this.#before;
    const share = (x: Tensor) => divide(x, this.total);
    // How far a mean moved, and how far the method's value is from it.
    const meanOf = (sum: FactorSum | null, start: Tensor, next: Tensor) => {
      const isAlike = sameShape(next.shape, start.shape);
      if (sum === null) return { mean: start, moved: null, left: isAlike ? sub(next, start) : null };
      const difference = share(sum.difference);
      return {
        mean: add(sum.first, difference),
        moved: add(sub(sum.first, start), difference),
        left: isAlike ? sub(sub(next, sum.first), difference) : null,
      };
    };
    const a = meanOf(this.#a, before.loraA, after.loraA);
    const b = meanOf(this.#b, before.loraB, after.loraB);
    const error = share(this.#products.matrix());
    if (this.#a && this.#b) addMatmul(error, neg(share(this.#b.difference)), share(this.#a.difference));
    const squares = [sumOfSquares(error)];
    const gap = neg(error);
    // B·A after the round less that of the means.
    if (a.left && b.left && after.sharedScaling === before.sharedScaling) {
      addMatmul(gap, b.left, after.loraA);
      addMatmul(gap, b.mean, a.left);
    } else {
      // Of another rank or scale, they have no factor in common.
      addMatmul(gap, mul(after.loraB, after.sharedScaling / before.sharedScaling), after.loraA);
      addMatmul(gap, neg(b.mean), a.mean);
    }
    if (after.weight !== before.weight) {
      const change = sub(toFloat(after.weight), toFloat(before.weight));
      accumulate(gap, mul(change, 1 / before.sharedScaling));
    }
    // That of the means less that of the start.
    if (b.moved) addMatmul(error, b.moved, a.mean);
    if (a.moved) addMatmul(error, before.loraB, a.moved);
    return [...squares, sumOfSquares(error), sumOfSquares(gap)].map((each) => reshape(each, [1]));
  }

  dispose(): void {
    this.#products.dispose();
    for (const sum of [this.#a, this.#b]) if (sum) disposeAll(Object.values<Tensor>({ ...sum }));
  }
}

/** x / total. Where nobody was lost the shares add up to one, but for their rounding, which is less than that of x. */
function divide(x: Tensor, total: number): Tensor {
  return Math.abs(total - 1) <= 2 ** -22 ? x : mul(x, 1 / total);
}

/** The first member of x [C, ...], and a sum of zero. */
function startSum(x: Tensor): FactorSum {
  const shape = x.shape.slice(1);
  return {
    first: keep(reshape(slice(x, { start: 0, end: 1, copy: true }), shape)),
    difference: keep(zeros(x.gpu, shape)),
  };
}
