import { add, clone, isStorageOnly, matmul, type Tensor, tidy } from "../../../../engine/mod.ts";
import type { LowRankProduct } from "../../../../engine/linalg/mod.ts";
import { adaptersOf, type LowRankFactors, matchLinears } from "../../../../federa/mod.ts";
import { Held } from "../../../held.ts";
import type { Uploads } from "../../../aggregation/aggregator.ts";
import type { Client, Method, RoundPlan } from "../../../method.ts";
import { type HostTensor, pick, take, type Tensors, toHost } from "../../../tensors.ts";
import { type AdapterOptions, adapterTargets } from "../adapters/adapter_options.ts";
import type { Averaged } from "../averaging/averaging.ts";

/** A round's changes of frozen weights, by the names they are sent by: the product b·a of b [out, k] and a [k, in]. */
type Factors = {
  readonly [name: string]: { readonly shape: readonly number[]; readonly data: Float32Array };
};

/** The state of {@linkcode correcting}. */
export type Corrected = {
  /** Values of what is trained, and the frozen weights of the adapted layers. */
  readonly global: Tensors;
  /** Names of what is trained. */
  readonly trained: readonly string[];
  /** Names of the adapted layers. */
  readonly layers: readonly string[];
  readonly seed: number;
  /** Rounds done. */
  readonly round: number;
  /**
   * Corrections of the last rounds, on the host: they are there to be sent. The oldest go once sending the weights whole is
   * cheaper.
   */
  readonly corrections: readonly { readonly round: number; readonly factors: Factors }[];
};

/** What a round makes of a layer; the caller disposes its tensors. */
export interface Correction {
  /** What is added to the frozen weight, as a product of k terms; nothing where there is none. */
  readonly merged?: LowRankProduct | undefined;
  /** The factors that clients go on from; by default the means, or those that `renew` gives. */
  readonly factors?: LowRankFactors;
}

/** Options of {@linkcode correcting}. */
export interface CorrectingOptions extends AdapterOptions {
  readonly name: string;
  /** Averages what is trained. */
  readonly inner: Method<Averaged>;
  /** What else the plan of a round says. */
  plan?(values: Tensors): Partial<RoundPlan>;
  /** What the round makes of a layer; the clients in their order, however they were grouped. */
  correct(layer: string, values: Tensors, each: readonly Uploads[]): Correction | Promise<Correction>;
  /** The factors that clients begin a round with, from the second on; by default the means. Both sides can tell them. */
  renew?(
    weight: Tensor,
    context: { readonly layer: string; readonly round: number; readonly seed: number },
  ): LowRankFactors;
}

/**
 * A method that adds a low-rank correction to the frozen weights of the adapted layers each round. A client downloads the
 * corrections of the rounds since it last took part as factors, or the weights themselves where those are smaller.
 */
export function correcting(options: CorrectingOptions): Method<Corrected> {
  const { name, inner, correct, renew } = options;
  const renewed = (weights: Tensors, context: { readonly round: number; readonly seed: number }) =>
    new Map(
      [...weights].flatMap(([weightName, weight]): [string, Tensor][] => {
        const layer = weightName.replace(/\.weight$/, "");
        const { loraA, loraB } = renew!(weight, { layer, ...context });
        return [[`${layer}.loraA`, loraA], [`${layer}.loraB`, loraB]];
      }),
    );
  return {
    name,
    sees: "each",
    check(pretrained) {
      inner.check(pretrained);
      const adapted = new Set(matchLinears(pretrained, adapterTargets(pretrained, options)));
      for (const [parameter, { dtype }] of pretrained.namedParameters()) {
        if (isStorageOnly(dtype) && adapted.has(parameter.replace(/\.weight$/, ""))) {
          throw new TypeError(
            `Cannot run ${name} on ${parameter}, which is stored as ${dtype}: it corrects frozen weights; choose the precision f32`,
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
          seed: context.seed,
          round: 0,
          corrections: [],
        },
      };
    },
    parameters: ({ global }) => global,
    plan: ({ global, trained, layers, corrections, round }) => ({
      trained,
      ...options.plan?.(pick(global, trained)),
      download: ({ lastRound }: Client) => {
        const sent = trained.filter((each) => renew === undefined || !/\.lora[AB]$/.test(each));
        const payload = new Map<string, Tensor | HostTensor>(pick(global, sent));
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
      const { global, layers, corrections, seed } = state;
      const round = state.round + 1;
      const weights = new Map<string, Tensor>();
      const own = new Map<string, Tensor>();
      const factors: Record<string, HostTensor> = {};
      for (const layer of layers) {
        const weight = take(global, `${layer}.weight`);
        const { merged, factors: next } = await correct(layer, global, each!);
        if (next !== undefined) {
          own.set(`${layer}.loraA`, held.hold(next.loraA)).set(`${layer}.loraB`, held.hold(next.loraB));
        }
        if (merged === undefined) {
          weights.set(`${layer}.weight`, weight);
          continue;
        }
        const { a, b } = merged;
        weights.set(`${layer}.weight`, held.hold(tidy(() => add(weight, matmul(b, a)))));
        const sent = held.hold(
          new Map([[`${layer}.correction.${round}.a`, a], [`${layer}.correction.${round}.b`, b]]),
        );
        Object.assign(factors, Object.fromEntries(await toHost(sent)));
        for (const factor of sent.values()) factor.dispose();
      }
      const begin = renew === undefined ? new Map() : renewed(weights, { round: round + 1, seed });
      held.release(weights);
      held.release(own);
      const dense = layers.reduce((sum, layer) => sum + take(global, `${layer}.weight`).size, 0);
      return {
        ...state,
        global: new Map([...global, ...values, ...own, ...weights, ...begin]),
        round,
        corrections: remember([...corrections, { round, factors }], dense),
      };
    },
    receive(parameters, payload, context) {
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
      if (renew !== undefined && context.round > 1) {
        const weights = [...parameters].filter(([each]) =>
          each.endsWith(".weight") && parameters.has(each.replace(/\.weight$/, ".loraA"))
        );
        for (const [each, value] of renewed(new Map(weights), context)) received.set(each, value);
      }
      return received;
    },
  };
}

/** The corrections of the last rounds, up to where sending the weights whole is cheaper. */
function remember(all: Corrected["corrections"], dense: number): Corrected["corrections"] {
  let size = 0;
  const isKept = [...all].reverse().map(({ factors }) => {
    for (const { data } of Object.values(factors)) size += data.length;
    return size < dense;
  }).reverse();
  return all.filter((_, i) => isKept[i]);
}
