import {
  add,
  addWeighted,
  clone,
  concat,
  matmul,
  mul,
  permute,
  reshape,
  sub,
  type Tensor,
  tidy,
  zeros,
} from "../../engine/mod.ts";
import { adaptersOf, matchLinears } from "../../federa/mod.ts";
import { Held } from "../held.ts";
import type { Uploads } from "../aggregation/aggregator.ts";
import type { Client, Method } from "../method.ts";
import { type HostTensor, take, type Tensors, toHost } from "../tensors.ts";
import { type AdapterOptions, adapterTargets } from "./adapter_options.ts";
import type { Averaged } from "./averaging.ts";

/** A round's changes of frozen weights, by the names they are sent by: the product b·a of b [out, K·r] and a [K·r, in]. */
type Corrections = {
  readonly [name: string]: { readonly shape: readonly number[]; readonly data: Float32Array };
};

/** The state of {@linkcode exactAveraging}. */
export type Exact = {
  /** Values of what is trained, and the frozen weights of the adapted layers. */
  readonly global: Tensors;
  /** Names of what is trained. */
  readonly trained: readonly string[];
  /** Names of the adapted layers. */
  readonly layers: readonly string[];
  /** Rounds done. */
  readonly round: number;
  /**
   * Corrections of the last rounds, on the host: they are there to be sent. The oldest go once sending the weights whole is
   * cheaper.
   */
  readonly corrections: readonly { readonly round: number; readonly factors: Corrections }[];
};

/**
 * Averaging of factors, made exact (FedEx-LoRA, arXiv 2410.09432): what averaging A and B apart loses,
 * E = s·(Σ p_k·B_k·A_k − B̄·Ā) = s·Σ p_k·(dB_k − dB̄)·dA_k with d counted from the start of the round, is added to the frozen
 * weights. So the global weights change by exactly the average of the clients' changes.
 *
 * A client downloads the corrections of the rounds since it last took part as factors of rank K·r, or the weights themselves
 * where those are smaller.
 *
 * @param inner averages the factors.
 */
export function exactAveraging(
  name: string,
  inner: Method<Averaged>,
  options: AdapterOptions,
): Method<Exact> {
  const scaling = options.alpha / options.rank;
  return {
    name,
    sees: "each",
    check(pretrained) {
      inner.check(pretrained);
      const adapted = new Set(matchLinears(pretrained, adapterTargets(pretrained, options)));
      for (const [parameter, { dtype }] of pretrained.namedParameters()) {
        if (dtype === "f16" && adapted.has(parameter.replace(/\.weight$/, ""))) {
          throw new TypeError(
            `Cannot run ${name} on ${parameter} in half precision: it corrects frozen weights; choose f32`,
          );
        }
      }
    },
    async init(pretrained, context) {
      this.check(pretrained);
      const { model, state: { global } } = await inner.init(pretrained, context);
      const adapters = adaptersOf(model);
      // A start that takes nothing out of the pretrained weights has the pretrained model's own.
      const pretrainedWeights = new Set([...pretrained.namedParameters()].map(([, each]) => each));
      const weights = [...adapters].map(([layer, { weight }]) =>
        [`${layer}.weight`, pretrainedWeights.has(weight) ? clone(weight) : weight] as const
      );
      return {
        model,
        state: {
          global: new Map([...global, ...weights]),
          trained: [...global.keys()],
          layers: [...adapters.keys()],
          round: 0,
          corrections: [],
        },
      };
    },
    parameters: ({ global }) => global,
    plan: ({ global, trained, layers, corrections, round }) => ({
      trained,
      download: ({ lastRound }: Client) => {
        const payload = new Map<string, Tensor | HostTensor>(
          trained.map((each) => [each, take(global, each)]),
        );
        // A client of round q downloaded the weights as they were before the correction of round q.
        const missed = corrections.filter((each) => each.round >= Math.max(1, lastRound));
        if (missed.length === round - Math.max(1, lastRound) + 1) {
          for (const { factors } of missed) {
            for (const [factor, value] of Object.entries(factors)) payload.set(factor, value);
          }
        } else for (const layer of layers) payload.set(`${layer}.weight`, take(global, `${layer}.weight`));
        return payload;
      },
    }),
    async apply(state, { values, each }) {
      using held = new Held();
      const { global, layers, corrections } = state;
      const round = state.round + 1;
      const weights = new Map<string, Tensor>();
      const factors: Record<string, HostTensor> = {};
      for (const layer of layers) {
        const weight = take(global, `${layer}.weight`);
        const { a, b } = tidy(() => correctionOf(layer, global, { each: each!, scaling }));
        weights.set(`${layer}.weight`, held.hold(tidy(() => add(weight, matmul(b, a)))));
        const sent = new Map([[`${layer}.correction.${round}.a`, a], [`${layer}.correction.${round}.b`, b]]);
        held.hold(sent);
        Object.assign(factors, Object.fromEntries(await toHost(sent)));
        for (const factor of sent.values()) factor.dispose();
      }
      held.release(weights);
      const dense = layers.reduce((sum, layer) => sum + take(global, `${layer}.weight`).size, 0);
      return {
        ...state,
        global: new Map([...global, ...values, ...weights]),
        round,
        corrections: remember([...corrections, { round, factors }], dense),
      };
    },
    receive(parameters, payload) {
      const received = new Map([...payload].filter(([parameter]) => parameters.has(parameter)));
      const corrections = [...payload.keys()].flatMap((sent) => {
        const [, layer, round] = /^(.+)\.correction\.(\d+)\.b$/.exec(sent) ?? [];
        return layer === undefined ? [] : [{ layer, round: Number(round) }];
      }).sort((left, right) => left.round - right.round);
      for (const { layer, round } of corrections) {
        const [weight, factor] = [`${layer}.weight`, `${layer}.correction.${round}`];
        const before = received.get(weight) ?? take(parameters, weight);
        received.set(
          weight,
          tidy(() => add(before, matmul(take(payload, `${factor}.b`), take(payload, `${factor}.a`)))),
        );
      }
      return received;
    },
  };
}

/** s·E of one layer as a product of stacks; the clients in their order, however they were grouped. */
function correctionOf(
  layer: string,
  global: Tensors,
  { each, scaling }: { readonly each: readonly Uploads[]; readonly scaling: number },
): { readonly b: Tensor; readonly a: Tensor } {
  const [loraA, loraB] = [take(global, `${layer}.loraA`), take(global, `${layer}.loraB`)];
  const [out, width] = [loraB.shape[0]!, loraA.shape[1]!];
  const updates = each.map(({ values, weights }) => ({
    dA: sub(take(values, `${layer}.loraA`), loraA),
    dB: sub(take(values, `${layer}.loraB`), loraB),
    weights,
  }));
  const meanB = zeros(loraB.gpu, loraB.shape);
  for (const { dB, weights } of updates) addWeighted(meanB, dB, weights);
  const columns = updates.map(({ dB, weights }) => {
    const weighted = mul(sub(dB, meanB), mul(reshape(weights, [-1, 1, 1]), scaling));
    return reshape(permute(weighted, [1, 0, 2]), [out, -1]);
  });
  return {
    b: concat(columns, { axis: 1 }),
    a: concat(updates.map(({ dA }) => reshape(dA, [-1, width]))),
  };
}

/** The corrections of the last rounds, up to where sending the weights whole is cheaper. */
function remember(all: Exact["corrections"], dense: number): Exact["corrections"] {
  let size = 0;
  const isKept = [...all].reverse().map(({ factors }) => {
    for (const { data } of Object.values(factors)) size += data.length;
    return size < dense;
  }).reverse();
  return all.filter((_, i) => isKept[i]);
}
