import {
  addWeighted,
  clone,
  disposeAll,
  keep,
  mul,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from "../../engine/mod.ts";
import type { Client } from "../method.ts";
import { checkNames } from "./check_names.ts";
import type { Aggregate, Aggregator, AggregatorFactory, AggregatorKind, Uploads } from "./aggregator.ts";

/**
 * Federated averaging (McMahan et al., arXiv 1602.05629): Σ w_k·value_k / Σ w_k, added up client by client and divided once, at
 * the end, so that a client that is lost on the way spoils nothing. Sums are all it holds.
 */
export const meanAggregator: AggregatorFactory = factory("mean", "sum");

/** As {@linkcode meanAggregator}, and holds every client's upload until the round ends, for methods that combine them otherwise. */
export const meanOfEachAggregator: AggregatorFactory = factory("mean of each", "each");

function factory(name: string, sees: AggregatorKind): AggregatorFactory {
  return { name, sees, open: ({ cohort }) => new MeanAggregator(cohort, sees) };
}

class MeanAggregator implements Aggregator {
  readonly #cohort: number;
  readonly #sees: AggregatorKind;
  readonly #sums = new Map<string, Tensor>();
  readonly #clients: Client[] = [];
  #each: Uploads[] = [];
  #total = 0;

  constructor(cohort: number, sees: AggregatorKind) {
    this.#cohort = cohort;
    this.#sees = sees;
  }

  add({ clients, values, shares, weights }: Uploads): void {
    if (this.#clients.length > 0) checkNames(this.#sums, { values, clients, first: this.#clients[0]! });
    for (const [name, value] of values) {
      let sum = this.#sums.get(name);
      if (sum === undefined) this.#sums.set(name, sum = keep(zeros(value.gpu, value.shape.slice(1))));
      addWeighted(sum, value, weights);
    }
    this.#clients.push(...clients);
    for (const share of shares) this.#total += share;
    if (this.#sees === "each") {
      const copies = new Map([...values].map(([name, value]) => [name, keep(clone(value))]));
      this.#each.push({ clients, values: copies, shares, weights: keep(clone(weights)) });
    }
  }

  finish(): Aggregate {
    // Nobody was lost: the shares add up to one, but for rounding.
    if (this.#clients.length < this.#cohort) this.#divide(this.#total);
    const values = new Map(this.#sums);
    const each = this.#each;
    this.#sums.clear();
    this.#each = [];
    return { clients: this.#clients, values, ...(this.#sees === "each" && { each }) };
  }

  dispose(): void {
    disposeAll([
      ...this.#sums.values(),
      ...this.#each.flatMap(({ values, weights }) => [...values.values(), weights]),
    ]);
    this.#sums.clear();
    this.#each = [];
  }

  #divide(total: number): void {
    for (const [name, sum] of this.#sums) {
      this.#sums.set(name, keep(tidy(() => mul(sum, 1 / total))));
      sum.dispose();
    }
    this.#each = this.#each.map(({ weights, shares, ...rest }) => {
      const own = shares.map((share) => share / total);
      const divided = keep(tensor(weights.gpu, own));
      weights.dispose();
      return { ...rest, shares: own, weights: divided };
    });
  }
}
