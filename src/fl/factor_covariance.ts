import {
  add,
  addMatmul,
  addWeighted,
  broadcastTo,
  clone,
  keep,
  matmul,
  mul,
  permute,
  reshape,
  sub,
  type Tensor,
  tidy,
  zeros,
} from "../engine/mod.ts";
import { adaptersOf } from "../federa/mod.ts";
import type { TaskModel } from "../tasks/mod.ts";
import type { CohortUpdate } from "./method.ts";

/** Running sums over one adapter's clients. */
interface Sums {
  /** The factors at the start of the round. */
  readonly startA: Tensor;
  readonly startB: Tensor;
  readonly meanA: Tensor;
  readonly meanB: Tensor;
  /** Σ p_k·dB_k·dA_k, [out, in]. */
  readonly products: Tensor;
}

/** What averaging factors does to one adapter in a round; both [out, in], before the scale s. */
export interface FactorAggregate {
  /** Σ p_k·B_k·A_k − B̄·Ā: what averaging the factors loses. */
  readonly error: Tensor;
  /** Σ p_k·B_k·A_k − B·A of the round's start: what an exact average would have added. */
  readonly change: Tensor;
}

/**
 * The covariance of clients' factor updates. With dA_k, dB_k counted from the start of the round, averaging A and B apart
 * loses E = Σ p_k·dB_k·dA_k − dB̄·dĀ, whatever the start. One dense matrix an adapter is held, and no client's update.
 */
export class FactorCovariance {
  readonly #sums: ReadonlyMap<string, Sums>;

  /** @param model the global model at the start of the round. */
  constructor(model: TaskModel) {
    this.#sums = new Map([...adaptersOf(model)].map(([name, { weight, loraA, loraB }]) => [name, {
      startA: keep(clone(loraA)),
      startB: keep(clone(loraB)),
      meanA: keep(zeros(weight.gpu, loraA.shape)),
      meanB: keep(zeros(weight.gpu, loraB.shape)),
      products: keep(zeros(weight.gpu, weight.shape)),
    }]));
  }

  /** Adds a cohort; a factor that wasn't trained hasn't moved. */
  add({ values, weights }: CohortUpdate): void {
    const members = weights.shape[0]!;
    tidy(() => {
      for (const [name, sums] of this.#sums) {
        const [trainedA, trainedB] = [values.get(`${name}.loraA`), values.get(`${name}.loraB`)];
        const dA = trainedA && sub(trainedA, sums.startA);
        const dB = trainedB && sub(trainedB, sums.startB);
        if (dA) addWeighted(sums.meanA, dA, weights);
        if (dB) addWeighted(sums.meanB, dB, weights);
        if (!dA || !dB) continue;
        const weighted = mul(dB, broadcastTo(reshape(weights, [members, 1, 1]), dB.shape));
        const [rank, width] = sums.startA.shape as [number, number];
        addMatmul(
          sums.products,
          reshape(permute(weighted, [1, 0, 2]), [-1, members * rank]),
          reshape(dA, [members * rank, width]),
        );
      }
    });
  }

  /** The outcome by adapter name. */
  aggregates(): Map<string, FactorAggregate> {
    return new Map([...this.#sums].map(([name, { startA, startB, meanA, meanB, products }]) => [
      name,
      tidy(() => ({
        error: sub(products, matmul(meanB, meanA)),
        change: add(products, add(matmul(startB, meanA), matmul(meanB, startA))),
      })),
    ]));
  }

  /** Frees the sums. */
  dispose(): void {
    for (const sums of this.#sums.values()) {
      for (const each of Object.values(sums) as Tensor[]) each.dispose();
    }
  }
}
