import { add, sizeOf, type Tensor, tensor } from "../../../engine/mod.ts";
import { defineAlgorithm } from "../define_algorithm.ts";
import { both } from "../local_rules.ts";
import { withOwnState } from "../own_state.ts";
import { accounted, type AccountedState } from "./_accounted.ts";
import { shapesOfRank } from "../../client/ranks.ts";
import type { Client, LocalRule, Ranks } from "../../method.ts";
import { fitTo } from "../../transport/fit.ts";
import { roundsOf, withRound } from "../../privacy/budget.ts";
import { clippedChanges, sentShapes } from "../../privacy/clipped_changes.ts";
import type { NoiseSource } from "../../privacy/noise.ts";
import { APART, planNoise } from "../../privacy/plan_noise.ts";
import { checkPrivate, noiseSource, privacyOptions } from "../../privacy/privacy_options.ts";

/** Its ledger is what a client has used that took part in all rounds so far. */
type State = AccountedState & { readonly seed: number };

/**
 * Local differential privacy: each client clips its change y − x to a norm C over all that it sends together and adds N(0, (z·C)²) to each
 * of its elements, before anybody sees it. The server needs no trust, and may look at each upload. ε is that of the Gaussian mechanism
 * for any two changes of a client, which are up to 2C apart, over all rounds played; sampling adds nothing, as the server sees who
 * comes. Every client counts the same.
 *
 * The mean of n clients has noise of z·C/√n, √n times as much as {@linkcode dpFedAvg} needs.
 *
 * @example
 * ```ts no-run
 * const method = localDp(fedEx({ rank: 8 }), { clipNorm: 0.1, noiseMultiplier: 0.5, delta: 1e-5 });
 * ```
 */
export const localDp = defineAlgorithm({
  name: "local-dp",
  summary: "clients clip their changes and add noise themselves: ε of a client holds against the server too",
  papers: ["1710.06963"],
  options: privacyOptions,
  over(inner, { clipNorm, delta, epsilon, ...options }) {
    const name = `local-dp(${inner.name})`;
    const source = noiseSource(options);
    const mechanism = ({ noiseMultiplier }: Pick<State, "noiseMultiplier">) => ({
      samplingRate: 1,
      noiseMultiplier: noiseMultiplier / APART,
    });
    // A round whose uploads came to nothing has shown them all the same.
    const usedUpTo = (state: State, round: number) => {
      let { ledger } = state;
      for (let played = roundsOf(ledger); played < round; played++) {
        ledger = withRound(ledger, mechanism(state));
      }
      return ledger;
    };
    return {
      ...withOwnState<State>(inner, (context) => {
        const { noiseMultiplier } = planNoise(
          { name, kind: "local-dp", epsilon, delta, ...options },
          context,
        );
        return () => ({ seed: context.seed, noiseMultiplier, ledger: [] });
      }),
      ...accounted<State>(inner, {
        name,
        epsilon,
        delta,
        mechanism,
        ledger: usedUpTo,
        clipNorm: () => clipNorm,
      }),
      brings: "localPrivacy",
      movesAlone: true,
      check(pretrained) {
        checkPrivate("local-dp", inner, { epsilon, ...options });
        inner.check(pretrained);
      },
      plan(state: State, round) {
        const plan = inner.plan(state.inner, round);
        sentShapes(name, plan, inner.parameters(state.inner));
        const noise = { source, deviation: state.noiseMultiplier * clipNorm, seed: state.seed, round };
        const rule: LocalRule = {
          finish(values, { start, clients }) {
            const { gpu } = values.values().next().value!;
            const { changes } = clippedChanges(values, start, tensor(gpu, [clipNorm]));
            const noised = [...changes].map(([each, change]) => {
              const sent = add(
                change,
                memberNoise(change, { ...noise, name: each, clients, ranks: plan.ranks }),
              );
              const x = start.get(each);
              return [each, x === undefined ? sent : add(sent, x)] as const;
            });
            return { upload: new Map(noised) };
          },
        };
        return { ...plan, weighBy: "client", local: both(plan.local, rule) };
      },
      async apply(state: State, aggregate, round) {
        const next = aggregate.clients.length > 0 || inner.movesAlone
          ? await inner.apply(state.inner, aggregate, round)
          : state.inner;
        return { ...state, inner: next, ledger: usedUpTo(state, round) };
      },
    };
  },
});

interface MemberNoiseOptions {
  readonly source: NoiseSource;
  readonly deviation: number;
  readonly seed: number;
  readonly round: number;
  readonly name: string;
  readonly clients: readonly Client[];
  readonly ranks: Ranks | undefined;
}

/** Each client's own noise, [C, ...]; none beyond its rank, where there is nothing to hide. */
function memberNoise(like: Tensor, options: MemberNoiseOptions): Tensor {
  const { source, deviation, seed, round, name, clients, ranks } = options;
  const { gpu, shape: [, ...shape] } = like;
  const size = sizeOf(shape);
  const all = new Float32Array(clients.length * size);
  for (const [member, { id }] of gpu.isRehearsing ? [] : clients.entries()) {
    const own = ranks === undefined ? shape : shapesOfRank(new Map([[name, shape]]), ranks.of(id)).get(name)!;
    const data = source(sizeOf(own), { seed, round, path: [id, name] });
    all.set(fitTo(shape, { shape: own, data }).data, member * size);
  }
  return tensor(gpu, all.map((each) => each * deviation), { shape: like.shape });
}
