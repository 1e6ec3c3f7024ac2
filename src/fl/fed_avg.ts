import { addWeighted, assign, keep, type Tensor, zeros } from "../engine/mod.ts";
import {
  type Aggregation,
  type CohortUpdate,
  type FederatedMethod,
  type ServerState,
  trainableParameters,
} from "./method.ts";

/**
 * Federated averaging (McMahan et al., arXiv 1602.05629): each global value becomes Σ p_k·(value of client k), added up
 * client by client, so the bits don't depend on how clients were grouped into cohorts.
 */
export class FedAvg implements Aggregation {
  readonly #targets: ReadonlyMap<string, Tensor>;
  readonly #sums: ReadonlyMap<string, Tensor>;

  /** @param targets the global values, overwritten by `finish()`. */
  constructor(targets: ReadonlyMap<string, Tensor>) {
    this.#targets = targets;
    this.#sums = new Map([...targets].map(([name, { gpu, shape }]) => [name, keep(zeros(gpu, shape))]));
  }

  /** Adds a cohort. */
  add({ values, weights }: CohortUpdate): void {
    for (const [name, total] of this.#sums) addWeighted(total, values.get(name)!, weights);
  }

  /** Overwrites the global values with the sums. */
  finish(): void {
    for (const [name, total] of this.#sums) assign(this.#targets.get(name)!, total);
  }

  /** Frees the sums. */
  dispose(): void {
    for (const total of this.#sums.values()) total.dispose();
  }
}

/** A method whose clients download, train and upload the same parameters, and whose server averages them. */
export function averagingMethod(
  method: Pick<FederatedMethod, "name" | "summary" | "check" | "init" | "trainable">,
): FederatedMethod {
  const trained = ({ model }: ServerState) => trainableParameters(model, method.trainable);
  return {
    ...method,
    broadcast: trained,
    aggregate: (state) => new FedAvg(trained(state)),
    evaluationModel: ({ model }) => model,
  };
}
