import { add, assign, mul, tidy } from "../../engine/mod.ts";
import { adaptersOf } from "../../federa/mod.ts";
import { FactorCovariance } from "../factor_covariance.ts";
import { FedAvg } from "../fed_avg.ts";
import {
  type Aggregation,
  type CohortUpdate,
  type FederatedMethod,
  type ServerState,
  trainableParameters,
} from "../method.ts";
import { feDeRa } from "./federa.ts";

/** FeDeRA-Exact's server also knows whether its residuals are still those of the start. */
export interface ExactState extends ServerState {
  /** Rounds aggregated so far. */
  rounds: number;
}

/** FedAvg of the factors, and the error of that average into the frozen residual. */
class ExactAggregation implements Aggregation {
  readonly #state: ExactState;
  readonly #average: FedAvg;
  readonly #covariance: FactorCovariance;

  constructor(state: ExactState) {
    this.#state = state;
    this.#average = new FedAvg(trainableParameters(feDeRaExact as FederatedMethod, state.model));
    this.#covariance = new FactorCovariance(state.model);
  }

  add(update: CohortUpdate): void {
    this.#average.add(update);
    this.#covariance.add(update);
  }

  finish(): void {
    const adapters = adaptersOf(this.#state.model);
    tidy(() => {
      for (const [name, { error }] of this.#covariance.aggregates()) {
        const { weight, scaling } = adapters.get(name)!;
        assign(weight, add(weight, mul(error, scaling)));
      }
    });
    this.#covariance.dispose();
    this.#average.finish();
    this.#state.rounds++;
  }
}

/**
 * FeDeRA with exact aggregation (FedEx-LoRA's correction, arXiv 2410.09432, on FeDeRA's start): A and B are averaged
 * separately and the lost part s·E = s·(Σ p_k·B_k·A_k − B̄·Ā) is added to the frozen residual, so the global weights change
 * by exactly the average of the clients' changes. Clients download the residual they don't have yet, whole: its bytes count.
 */
export const feDeRaExact: FederatedMethod<ExactState> = {
  ...feDeRa,
  name: "federa-exact",
  summary:
    "FeDeRA; the error of averaging factors is folded into the frozen residual (arXiv 2404.18848, 2410.09432)",
  init: async (pretrained, options) => ({ model: (await feDeRa.init(pretrained, options)).model, rounds: 0 }),
  broadcast: (state) => {
    const payload = trainableParameters(feDeRaExact as FederatedMethod, state.model);
    // Every round changes the residual, so even a client of the last one misses a change.
    if (state.rounds > 0) {
      for (const [name, { weight }] of adaptersOf(state.model)) payload.set(`${name}.weight`, weight);
    }
    return payload;
  },
  aggregate: (state) => new ExactAggregation(state),
};
