import {
  add,
  addWeighted,
  assign,
  clone,
  concat,
  keep,
  matmul,
  mul,
  permute,
  reshape,
  sub,
  type Tensor,
  tidy,
  zeros,
} from "../../engine/mod.ts";
import { adaptersOf, type LowRankLinear, matchLinears } from "../../federa/mod.ts";
import { FedAvg } from "../fed_avg.ts";
import {
  type Aggregation,
  type CohortUpdate,
  type FederatedMethod,
  type ServerState,
  trainableParameters,
} from "../method.ts";
import type { HostTensor } from "../tensors.ts";
import { feDeRa } from "./federa.ts";

/** A round's change of one frozen residual, as the product b·a of b [out, K·r] and a [K·r, in]. */
interface Correction<T> {
  readonly b: T;
  readonly a: T;
}

/** FeDeRA-Exact's server also knows what its residuals went through lately. */
export interface ExactState extends ServerState {
  /** Rounds aggregated so far. */
  round: number;
  /**
   * Corrections by round, then layer, on the host: they are there to be sent. The oldest go once sending the residuals
   * whole is cheaper.
   */
  readonly corrections: Map<number, ReadonlyMap<string, Correction<HostTensor>>>;
}

/** One cohort's factor updates of one layer, and its weights. */
interface Updates {
  readonly dA: Tensor;
  readonly dB: Tensor;
  readonly weights: Tensor;
}

/**
 * FedAvg of the factors, and the error of that average into the frozen residual:
 * E = Σ p_k·B_k·A_k − B̄·Ā = Σ p_k·(dB_k − dB̄)·dA_k, d being counted from the start of the round. The mean dB̄ is known only
 * after the last cohort, so unlike plain averaging this rule holds every participant's factors until then.
 */
class ExactAggregation implements Aggregation {
  readonly #state: ExactState;
  readonly #average: FedAvg;
  readonly #start: ReadonlyMap<
    string,
    { adapter: LowRankLinear; loraA: Tensor; loraB: Tensor; updates: Updates[] }
  >;

  constructor(state: ExactState) {
    this.#state = state;
    this.#average = new FedAvg(trainableParameters(state.model, feDeRa.trainable));
    this.#start = new Map([...adaptersOf(state.model)].map(([name, adapter]) => [name, {
      adapter,
      loraA: keep(clone(adapter.loraA)),
      loraB: keep(clone(adapter.loraB)),
      updates: [],
    }]));
  }

  /** Adds a cohort. */
  add(update: CohortUpdate): void {
    this.#average.add(update);
    for (const [name, { loraA, loraB, updates }] of this.#start) {
      updates.push({
        dA: keep(sub(update.values.get(`${name}.loraA`)!, loraA)),
        dB: keep(sub(update.values.get(`${name}.loraB`)!, loraB)),
        weights: keep(clone(update.weights)),
      });
    }
  }

  /** Averages, and corrects the residuals. */
  async finish(): Promise<void> {
    const corrections = new Map<string, Correction<HostTensor>>();
    for (const [name, { adapter, updates }] of this.#start) {
      const { a, b } = tidy(() => correctionOf(adapter, updates));
      tidy(() => assign(adapter.weight, add(adapter.weight, matmul(b, a))));
      corrections.set(name, { b: await takeToHost(b), a: await takeToHost(a) });
    }
    this.#average.finish();
    this.#state.round++;
    remember(this.#state, corrections);
  }

  /** Frees the clients' factors and the sums. */
  dispose(): void {
    for (const { loraA, loraB, updates } of this.#start.values()) {
      for (const each of [loraA, loraB, ...updates.flatMap(({ dA, dB, weights }) => [dA, dB, weights])]) {
        each.dispose();
      }
    }
    this.#average.dispose();
  }
}

/** s·E of one layer as a product of stacks; the clients in their order, however they were grouped. */
function correctionOf(
  { weight, sharedScaling }: LowRankLinear,
  updates: readonly Updates[],
): Correction<Tensor> {
  const [out, width] = weight.shape as [number, number];
  const meanB = zeros(weight.gpu, updates[0]!.dB.shape.slice(1));
  for (const { dB, weights } of updates) addWeighted(meanB, dB, weights);
  const columns = updates.map(({ dB, weights }) => {
    const weighted = mul(sub(dB, meanB), mul(reshape(weights, [-1, 1, 1]), sharedScaling));
    return reshape(permute(weighted, [1, 0, 2]), [out, -1]);
  });
  return {
    b: concat(columns, { axis: 1 }),
    a: concat(updates.map(({ dA }) => reshape(dA, [-1, width]))),
  };
}

async function takeToHost(x: Tensor): Promise<HostTensor> {
  try {
    return { shape: x.shape, data: await x.floats() };
  } finally {
    x.dispose();
  }
}

/** Keeps a round's corrections, and forgets those from which on the residuals themselves are smaller. */
function remember(state: ExactState, corrections: ReadonlyMap<string, Correction<HostTensor>>): void {
  state.corrections.set(state.round, corrections);
  const dense = [...adaptersOf(state.model).values()].reduce((total, { weight }) => total + weight.size, 0);
  let size = 0;
  for (const [round, layers] of [...state.corrections].reverse()) {
    for (const { a, b } of layers.values()) size += a.data.length + b.data.length;
    if (size >= dense) state.corrections.delete(round);
  }
}

/**
 * FeDeRA with exact aggregation (FedEx-LoRA's correction, arXiv 2410.09432, on FeDeRA's start): A and B are averaged
 * separately and what that loses, s·(Σ p_k·B_k·A_k − B̄·Ā), is added to the frozen residual, so the global weights change
 * by exactly the average of the clients' changes. A client downloads the corrections of the rounds since it last took
 * part as factors of rank K·r, or the residuals themselves where those are smaller; their bytes count.
 */
export const feDeRaExact: FederatedMethod<ExactState> = {
  ...feDeRa,
  name: "federa-exact",
  summary:
    "FeDeRA; what averaging factors loses is folded into the frozen residual (arXiv 2404.18848, 2410.09432)",
  check(pretrained, options) {
    feDeRa.check(pretrained, options);
    const adapted = new Set(matchLinears(pretrained, options.targets).map((name) => `${name}.weight`));
    for (const [name, { dtype }] of pretrained.namedParameters()) {
      if (adapted.has(name) && dtype === "f16") {
        throw new TypeError(
          `Cannot run federa-exact on ${name} in half precision: it corrects frozen weights; take f32`,
        );
      }
    }
  },
  async init(pretrained, options) {
    feDeRaExact.check(pretrained, options);
    const { model } = await feDeRa.init(pretrained, options);
    return { model, round: 0, corrections: new Map() };
  },
  broadcast: (state, lastRound) => {
    const payload = new Map<string, Tensor | HostTensor>(trainableParameters(state.model, feDeRa.trainable));
    // A client of round q downloaded the residuals as they were before the correction of round q.
    const firstMissed = Math.max(1, lastRound);
    const missed = Array.from({ length: state.round - firstMissed + 1 }, (_, i) => firstMissed + i);
    if (missed.every((round) => state.corrections.has(round))) {
      for (const round of missed) {
        for (const [name, { a, b }] of state.corrections.get(round)!) {
          payload.set(`${name}.correction.${round}.a`, a).set(`${name}.correction.${round}.b`, b);
        }
      }
    } else {
      for (const [name, { weight }] of adaptersOf(state.model)) payload.set(`${name}.weight`, weight);
    }
    return payload;
  },
  aggregate: (state) => new ExactAggregation(state),
};
