import {
  add,
  addMatmul,
  addProducts,
  addWeighted,
  broadcastTo,
  concat,
  disposeAll,
  innerProduct,
  keep,
  type LowRankProduct,
  mul,
  relu,
  reshape,
  rsqrt,
  square,
  sub,
  sumBatch,
  sumOfSquares,
  type Tensor,
  tidy,
  where,
  zeros,
} from "../../engine/mod.ts";
import { adaptersOf, loraLayers, type LowRankLinear } from "../../federa/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { stackStarts } from "../client/stack.ts";
import { isHead } from "../method.ts";
import { disposeTensors } from "../tensors.ts";
import type { Uploads } from "../aggregation/aggregator.ts";
import type { Figures, Measure, MeasuredPlan } from "./measure.ts";
import { ownScaling } from "./_own_scaling.ts";
import { ProductSum } from "./_product_sum.ts";

/**
 * How far clients agree: `clientCosine` is the mean over pairs of clients of the cosine between their changes ΔW_k, 1 where all
 * went the same way and about 0 where they have nothing in common. A change is that of the effective weights of all adapted
 * layers together, and of the other parameters that were sent, but for the head; each client's counts from where it started.
 * Clients that didn't move are left out; null with fewer than two that did, and of DoRA, whose changes have no low rank.
 *
 * With u_k = ΔW_k / ‖ΔW_k‖ the mean is (‖Σ u_k‖² − K) / (K·(K − 1)), so one sum is held and no client's change: for a layer no
 * more than the factors of all clients or the weight, whichever is less. The lengths come from Gram matrices of the factors,
 * whose relative error is about 2⁻²⁴·(Σⱼ ‖bⱼ‖·‖aⱼ‖ / ‖ΔW_k‖)².
 */
export function clientDispersion(): Measure {
  return new ClientDispersion();
}

class ClientDispersion implements Measure {
  readonly name = "client-dispersion";
  readonly seesEach = true;
  #plan: MeasuredPlan = {};
  #hasLengths = false;
  #global: ReadonlyMap<string, Tensor> = new Map();
  #adapters: ReadonlyMap<string, LowRankLinear> = new Map();
  #layers = new Map<string, LayerSum>();
  #sums = new Map<string, Tensor>();
  /** ‖ΔW_k‖² of each client so far, by block. */
  #lengths: Tensor[] = [];

  begin(model: TaskModel, plan: MeasuredPlan = {}): void {
    this.dispose();
    this.#plan = plan;
    this.#adapters = adaptersOf(model);
    this.#hasLengths = [...loraLayers(model).values()].some(({ magnitude }) => magnitude !== undefined);
    this.#global = new Map(model.namedParameters());
  }

  add({ clients, values }: Uploads): void {
    if (this.#hasLengths) return;
    const global = new Map([...this.#global].filter(([name]) => values.has(name)));
    const starts = stackStarts({ trained: [], ...this.#plan }, { clients, global });
    try {
      tidy(() =>
        this.#add({ clients, values, startOf: (name) => starts.get(name) ?? this.#global.get(name)! })
      );
    } finally {
      disposeTensors(starts);
    }
  }

  #add({ clients, values, startOf }: MovedBlock): void {
    const adapted = new Set<string>();
    const layers = [...this.#adapters].flatMap(([name, adapter]) => {
      const [nameA, nameB] = [`${name}.loraA`, `${name}.loraB`];
      adapted.add(nameA).add(nameB);
      const [a, b] = [values.get(nameA), values.get(nameB)];
      if (a === undefined && b === undefined) return [];
      const own = ownScaling(adapter, this.#plan.ranks, clients);
      return [{ name, adapter, own, moved: { a, b, startA: startOf(nameA), startB: startOf(nameB) } }];
    });
    const others = [...values].flatMap(([name, value]) =>
      this.#global.has(name) && !adapted.has(name) && !isHead(name)
        ? [{ name, value, start: startOf(name) }]
        : []
    );
    let squares: Tensor | undefined;
    const include = (x: Tensor) => squares = squares ? add(squares, x) : x;
    for (const { adapter, own, moved } of layers) include(tidy(() => squaredLength(adapter, moved, own)));
    for (const { value, start } of others) {
      include(tidy(() => sumOfSquares(reshape(sub(value, start), [clients.length, -1]), { axes: [1] })));
    }
    if (squares === undefined) return;
    this.#lengths.push(keep(squares));
    const inverse = where(squares, { then: rsqrt(squares), otherwise: zeros(squares.gpu, [1]) });
    for (const { name, adapter, own, moved } of layers) {
      let sum = this.#layers.get(name);
      if (sum === undefined) this.#layers.set(name, sum = new LayerSum(adapter));
      tidy(() => sum.add(own ? mul(inverse, own) : inverse, moved));
    }
    for (const { name, value, start } of others) {
      let sum = this.#sums.get(name);
      if (sum === undefined) this.#sums.set(name, sum = keep(zeros(value.gpu, value.shape.slice(1))));
      tidy(() => addWeighted(sum, sub(value, start), inverse));
    }
  }

  async end(): Promise<Figures> {
    if (this.#lengths.length === 0) return { clientCosine: null };
    const lengths = this.#lengths;
    const norms = [...this.#layers.values()].map((sum) => keep(tidy(() => sum.squares())));
    for (const sum of this.#sums.values()) norms.push(keep(tidy(() => reshape(sumOfSquares(sum), [1]))));
    const all = keep(tidy(() => concat([...lengths, ...norms])));
    disposeAll(norms);
    try {
      const values = [...await all.floats()];
      const clients = lengths.reduce((total, { size }) => total + size, 0);
      const moved = values.slice(0, clients).filter((square) => square > 0).length;
      const square = values.slice(clients).reduce((total, value) => total + value, 0);
      return { clientCosine: moved < 2 ? null : (square - moved) / (moved * (moved - 1)) };
    } finally {
      all.dispose();
    }
  }

  dispose(): void {
    for (const layer of this.#layers.values()) layer.dispose();
    disposeAll([...this.#sums.values(), ...this.#lengths]);
    this.#layers = new Map();
    this.#sums = new Map();
    this.#lengths = [];
    this.#global = new Map();
    this.#adapters = new Map();
  }
}

/** Some clients, what they sent, and where they started: [...], or [C, ...] where not all alike. */
interface MovedBlock extends Pick<Uploads, "clients" | "values"> {
  startOf(name: string): Tensor;
}

/** The factors of one layer of some clients: [C, ...] now, [...] or [C, ...] at the start. */
interface MovedFactors {
  readonly a: Tensor | undefined;
  readonly b: Tensor | undefined;
  readonly startA: Tensor;
  readonly startB: Tensor;
}

/** B_k·A_k − B·A as (B_k − B)·A_k + B·(A_k − A), of all clients of a block. */
function changeOf({ a, b, startA, startB }: MovedFactors): LowRankProduct {
  const members = (a ?? b)!.shape[0]!;
  const each = (x: Tensor) => x.ndim === 3 ? x : broadcastTo(x, [members, ...x.shape]);
  return addProducts([
    ...b ? [{ b: sub(b, startB), a: a ?? each(startA) }] : [],
    ...a ? [{ b: each(startB), a: sub(a, startA) }] : [],
  ]);
}

/** ‖s_k·(B_k·A_k − B·A)‖² of each client, [C]; `own` is s_k/s. */
function squaredLength(adapter: LowRankLinear, moved: MovedFactors, own: Tensor | undefined): Tensor {
  const change = changeOf(moved);
  const squares = mul(relu(innerProduct(change, change)), adapter.sharedScaling ** 2);
  return own ? mul(squares, square(own)) : squares;
}

/**
 * Σ u_k of one layer, without the scale s. With v_k = 1/‖ΔW_k‖ it's Σ v_k·dB_k·dA_k + (Σ v_k·dB_k)·A + B·(Σ v_k·dA_k) of clients
 * that start alike.
 */
class LayerSum {
  readonly #adapter: LowRankLinear;
  readonly #products: ProductSum;
  readonly #sumA: Tensor;
  readonly #sumB: Tensor;

  constructor(adapter: LowRankLinear) {
    const { loraA, loraB, weight } = adapter;
    this.#adapter = adapter;
    this.#products = new ProductSum(weight.gpu, weight.shape as [number, number]);
    this.#sumA = keep(zeros(weight.gpu, loraA.shape));
    this.#sumB = keep(zeros(weight.gpu, loraB.shape));
  }

  add(inverse: Tensor, moved: MovedFactors): void {
    const { a, b, startA, startB } = moved;
    if (startA.ndim === 3 || startB.ndim === 3) {
      this.#products.add(sumBatch(changeOf(moved), inverse));
      return;
    }
    const [dA, dB] = [a && sub(a, startA), b && sub(b, startB)];
    if (dA) addWeighted(this.#sumA, dA, inverse);
    if (dB) addWeighted(this.#sumB, dB, inverse);
    if (dA && dB) this.#products.add(sumBatch({ b: dB, a: dA }, inverse));
  }

  /** ‖s·Σ u_k‖², [1]. */
  squares(): Tensor {
    const { loraA, loraB, sharedScaling } = this.#adapter;
    const sum = this.#products.matrix();
    addMatmul(sum, this.#sumB, loraA);
    addMatmul(sum, loraB, this.#sumA);
    return reshape(mul(sumOfSquares(sum), sharedScaling ** 2), [1]);
  }

  dispose(): void {
    this.#products.dispose();
    disposeAll([this.#sumA, this.#sumB]);
  }
}
