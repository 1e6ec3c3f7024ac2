import { add, lessEqual, mul, type Shape, sub, tensor, tidy } from "../../../engine/mod.ts";
import { defineAlgorithm } from "../define_algorithm.ts";
import { both, withSent } from "../local_rules.ts";
import { withOwnState } from "../own_state.ts";
import { accounted, type AccountedState } from "./_accounted.ts";
import { Held } from "../../held.ts";
import { whyClashing } from "../../legality.ts";
import type { LocalRule, RoundPlan } from "../../method.ts";
import { prefixed, type Shapes, take, type Tensors } from "../../tensors.ts";
import { adaptiveOptions, changeNoise, countNoiseOf, nextClipNorm } from "../../privacy/adaptive_clip.ts";
import { withRound } from "../../privacy/budget.ts";
import { checkSent, clippedChanges, sentShapes } from "../../privacy/clipped_changes.ts";
import { noiseTensor } from "../../privacy/noise.ts";
import { type NoisePlan, planNoise } from "../../privacy/plan_noise.ts";
import { checkPrivate, noiseSource, privacyOptions } from "../../privacy/privacy_options.ts";

/** Of changes on their way up, of whether one was within the clip norm, and of an adapted norm on its way down. */
const [CHANGE, WITHIN, NORM] = ["change/", "within-clip-norm", "clip-norm"];

type State = AccountedState & NoisePlan & {
  /** C of the next round, and of the last. */
  readonly clipNorm: number;
  readonly lastClipNorm: number;
  /** C of the next round as clients get it, where it is adapted. */
  readonly sent: Tensors;
  readonly seed: number;
};

/**
 * Differential privacy of clients (DP-FedAvg; McMahan et al., arXiv 1710.06963): each client clips its change y − x to a norm C over
 * all that it sends together, every client counts the same, and the server adds N(0, (z·C)²) to each element of the sum and divides by the
 * expected size of the cohort, q·N, whoever came: an empty round moves by noise alone. What is private are the global models of all rounds,
 * for each client as a whole; ε is that of the Gaussian mechanism on a Poisson sample. Other samples add no privacy.
 *
 * With `adaptive` the norm follows a quantile of the changes' lengths (Andrew et al., arXiv 1905.03871): each client also sends ±½ for
 * whether its change is within C, and C ← C·exp(−η·(b̄ − γ)), where b̄ is the noised share of those. The changes' noise rises to
 * z_Δ = (z⁻² − (2σ_b)⁻²)^(−1/2), so that both together cost what z does.
 *
 * @example
 * ```ts no-run
 * const method = dpFedAvg(ffaLora({ rank: 8 }), { clipNorm: 0.1, epsilon: 8, delta: 1e-5 });
 * simulate(pretrained, { ...options, method, sampling: "poisson" });
 * ```
 */
export const dpFedAvg = defineAlgorithm({
  name: "dp-fedavg",
  summary:
    "clients clip their changes, the server adds noise to the sum: ε of a client holds for the models of all rounds",
  papers: ["1710.06963", "1908.10530", "1905.03871"],
  options: privacyOptions.extend({ adaptive: adaptiveOptions.optional() }),
  over(inner, { clipNorm, delta, epsilon, adaptive, ...options }) {
    const name = `dp-fedavg(${inner.name})`;
    const source = noiseSource(options);
    const planOf = (state: State, round: number): RoundPlan => {
      const plan = inner.plan(state.inner, round);
      if (plan.ranks === undefined && plan.start === undefined) return plan;
      throw new TypeError(
        `Cannot run ${name} with clients of different ranks: ${
          whyClashing("differentialPrivacy", "mixedRanks")
        }`,
      );
    };
    return {
      ...withOwnState<State>(inner, (context) => {
        const noise = planNoise({ name, kind: "dp-fedavg", epsilon, delta, adaptive, ...options }, context);
        return ({ model }) => ({
          clipNorm,
          lastClipNorm: clipNorm,
          sent: new Map(adaptive === undefined ? [] : [[NORM, tensor(model.gpu, [clipNorm])]]),
          seed: context.seed,
          ...noise,
          ledger: [],
        });
      }),
      ...accounted<State>(inner, {
        name,
        epsilon,
        delta,
        mechanism: ({ samplingRate, noiseMultiplier }) => ({ samplingRate, noiseMultiplier }),
        ledger: ({ ledger }) => ledger,
        clipNorm: ({ lastClipNorm }) => lastClipNorm,
      }),
      brings: "differentialPrivacy",
      movesAlone: true,
      movesOtherwise: true,
      sendsOtherwise: true,
      check(pretrained) {
        checkPrivate("dp-fedavg", inner, { epsilon, ...options });
        inner.check(pretrained);
      },
      plan(state: State, round) {
        const plan = planOf(state, round);
        const shapes = sentShapes(name, plan, inner.parameters(state.inner));
        const rule = clippedRule(name, { clipNorm, shapes, isAdaptive: adaptive !== undefined });
        return {
          ...withSent(plan, state.sent),
          weighBy: "client",
          local: { ...both(plan.local, rule), sends: rule.sends! },
        };
      },
      async apply(state: State, aggregate, round) {
        const { cohort, noiseMultiplier, seed } = state;
        if (cohort === 0) {
          throw new TypeError(
            `Cannot aggregate with ${name}: expected a fleet that says how it samples, got one that doesn't`,
          );
        }
        using held = new Held();
        const { clients, values } = aggregate;
        const parameters = inner.parameters(state.inner);
        const shapes = sentShapes(name, planOf(state, round), parameters);
        const { gpu } = parameters.values().next().value!;
        if (clients.length > 0) checkSent(name, values, sendsOf(shapes, adaptive !== undefined).keys());
        const z = adaptive ? changeNoise(noiseMultiplier, adaptive, cohort) : noiseMultiplier;
        /** (Σ of those who came + noise)/(q·N) */
        const noisedMean = (each: string, shape: Shape, deviation: number) => {
          const purpose = { seed, round, path: [each] };
          const noise = noiseTensor(gpu, shape, { source, deviation: deviation / cohort, purpose });
          const mean = values.get(each);
          return mean === undefined ? noise : add(mul(mean, clients.length / cohort), noise);
        };
        const moved = held.hold(tidy(() =>
          new Map([...shapes].map(([each, shape]) => {
            const change = noisedMean(`${CHANGE}${each}`, shape, z * state.clipNorm);
            const x = parameters.get(each);
            return [each, x === undefined ? change : add(x, change)];
          }))
        ));
        let { clipNorm: next, sent } = state;
        if (adaptive !== undefined) {
          using share = tidy(() => noisedMean(WITHIN, [], countNoiseOf(adaptive, cohort)));
          // A rehearsal has no values.
          if (!gpu.isRehearsing) next = nextClipNorm(next, (await share.floats())[0]! + 0.5, adaptive);
          sent = held.hold(new Map([[NORM, tensor(gpu, [next])]]));
        }
        const result: State = {
          ...state,
          clipNorm: next,
          lastClipNorm: state.clipNorm,
          sent,
          inner: await inner.apply(state.inner, { clients, values: moved }, round),
          ledger: withRound(state.ledger, state),
        };
        held.release(result);
        return result;
      },
    };
  },
});

/** Names and shapes of what clients send, of what the method's clients do. */
function sendsOf(shapes: Shapes, isAdaptive: boolean): Map<string, Shape> {
  return new Map<string, Shape>([...prefixed(CHANGE, shapes), ...isAdaptive ? [[WITHIN, []] as const] : []]);
}

interface ClippedRuleOptions {
  readonly clipNorm: number;
  /** Of what the method's clients send. */
  readonly shapes: Shapes;
  readonly isAdaptive: boolean;
}

/** What a client sends: its clipped changes alone, under other names than their parameters, whose values they aren't. */
function clippedRule(name: string, { clipNorm, shapes, isAdaptive }: ClippedRuleOptions): LocalRule {
  return {
    sends: sendsOf(shapes, isAdaptive),
    finish(values, { start, sent }) {
      checkSent(name, values, shapes.keys());
      const { gpu } = values.values().next().value!;
      const norm = isAdaptive ? take(sent, NORM) : tensor(gpu, [clipNorm]);
      const { changes, lengths, limit } = clippedChanges(values, start, norm);
      const upload = prefixed(CHANGE, changes);
      return { upload: isAdaptive ? upload.set(WITHIN, sub(lessEqual(lengths, limit), 0.5)) : upload };
    },
  };
}
