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
  sub,
  sumBatch,
  sumOfSquares,
  type Tensor,
  tidy,
  where,
  zeros,
} from "../../engine/mod.ts";
import { adaptersOf, type LowRankLinear } from "../../federa/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { isHead } from "../method.ts";
import type { Figures, Measure, MeasuredUploads } from "./measure.ts";
import { ProductSum } from "./_product_sum.ts";

/**
 * How far clients agree: `clientCosine` is the mean over pairs of clients of the cosine between their changes ΔW_k, 1 where all
 * went the same way and about 0 where they have nothing in common. A change is that of the effective weights of all adapted
 * layers together, and of the other parameters that were sent, but for the head. Clients that didn't move are left out; null
 * with fewer than two that did.
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
  #start: ReadonlyMap<string, Tensor> = new Map();
  #adapters: ReadonlyMap<string, LowRankLinear> = new Map();
  #layers = new Map<string, LayerSum>();
  #sums = new Map<string, Tensor>();
  /** ‖ΔW_k‖² of each client so far, by block. */
  #lengths: Tensor[] = [];

  begin(model: TaskModel): void {
    this.dispose();
    this.#adapters = adaptersOf(model);
    this.#start = new Map(model.namedParameters());
  }

  add({ values }: MeasuredUploads): void {
    const layers = [...this.#adapters].flatMap(([name, adapter]) => {
      const [a, b] = [values.get(`${name}.loraA`), values.get(`${name}.loraB`)];
      return a || b ? [{ name, adapter, a, b }] : [];
    });
    const adapted = new Set([...this.#adapters.keys()].flatMap((name) => [`${name}.loraA`, `${name}.loraB`]));
    const others = [...values].flatMap(([name, value]) => {
      const start = this.#start.get(name);
      return start && !adapted.has(name) && !isHead(name) ? [{ name, value, start }] : [];
    });
    if (layers.length + others.length === 0) return;
    tidy(() => {
      let squares: Tensor | undefined;
      const include = (x: Tensor) => squares = squares ? add(squares, x) : x;
      for (const { adapter, a, b } of layers) include(tidy(() => squaredLength(adapter, a, b)));
      for (const { value, start } of others) {
        include(tidy(() => sumOfSquares(reshape(sub(value, start), [value.shape[0]!, -1]), { axes: [1] })));
      }
      this.#lengths.push(keep(squares!));
      const inverse = where(squares!, { then: rsqrt(squares!), otherwise: zeros(squares!.gpu, [1]) });
      for (const { name, adapter, a, b } of layers) {
        let sum = this.#layers.get(name);
        if (sum === undefined) this.#layers.set(name, sum = new LayerSum(adapter));
        tidy(() => sum.add(inverse, a, b));
      }
      for (const { name, value, start } of others) {
        let sum = this.#sums.get(name);
        if (sum === undefined) this.#sums.set(name, sum = keep(zeros(start.gpu, start.shape)));
        tidy(() => addWeighted(sum, sub(value, start), inverse));
      }
    });
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
    this.#start = new Map();
    this.#adapters = new Map();
  }
}

/** ‖s·(B_k·A_k − B·A)‖² of each client, [C], by B_k·A_k − B·A = (B_k − B)·A_k + B·(A_k − A). */
function squaredLength(adapter: LowRankLinear, a: Tensor | undefined, b: Tensor | undefined): Tensor {
  const { loraA, loraB, sharedScaling } = adapter;
  const members = (a ?? b)!.shape[0]!;
  const shared = (x: Tensor) => broadcastTo(x, [members, ...x.shape]);
  const parts: LowRankProduct[] = [];
  if (b) parts.push({ b: sub(b, loraB), a: a ?? shared(loraA) });
  if (a) parts.push({ b: shared(loraB), a: sub(a, loraA) });
  const change = addProducts(parts);
  return mul(relu(innerProduct(change, change)), sharedScaling ** 2);
}

/** Σ u_k of one layer, without the scale: Σ v_k·dB_k·dA_k + (Σ v_k·dB_k)·A + B·(Σ v_k·dA_k), v_k being 1/‖ΔW_k‖. */
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

  add(inverse: Tensor, a: Tensor | undefined, b: Tensor | undefined): void {
    const { loraA, loraB } = this.#adapter;
    const [dA, dB] = [a && sub(a, loraA), b && sub(b, loraB)];
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
