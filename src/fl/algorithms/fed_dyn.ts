import { z } from "zod";
import { accumulate, add, mul, sub, tidy } from "../../engine/mod.ts";
import { Held } from "../held.ts";
import { type LocalRule, sharedNames } from "../method.ts";
import { pick, prefixed, type Shapes, shapesOf, take, type Tensors, zeroTensors } from "../tensors.ts";
import { defineAlgorithm } from "./define_algorithm.ts";
import { type OverState, withOwnState } from "./own_state.ts";
import { both, checkCoordinates, checkSendsValues, checkTakesMean } from "./local_rules.ts";

type State = OverState & {
  /** The server's h, by parameter: the mean of all clients' g_k. */
  readonly tilt: Tensors;
  readonly numClients: number;
};

const addsUp =
  "what is clipped away or noised adds up in the server's term over the rounds, as clients' own don't have it: take fedprox";

/** Of what clients keep. */
const OWN = "feddyn/";

/**
 * FedDyn (Acar et al., arXiv 2111.04263): −⟨g_k, y⟩ + (α/2)·‖y − x‖² is added to each client's loss, so −g_k + α·(y − x) to its gradient, and
 * g_k ← g_k − α·(y − x) after its steps. With P of m clients in the round, h ← h − (α/m)·Σ (y − x) and x ← Σ y/|P| − h/α, every client
 * counting the same. Clients keep g_k and send y as ever, and the server needs their sum alone.
 */
export const fedDyn = defineAlgorithm({
  name: "feddyn",
  summary:
    "a term of each client's own, which it keeps, lets the minima of clients agree with the federation's",
  papers: ["2111.04263"],
  options: z.strictObject({
    /** α: 0.001 to 0.1 are usual. */
    alpha: z.number().gt(0).max(1e6).default(0.01),
  }),
  over: (inner, { alpha }) => ({
    ...withOwnState<State>(inner, ({ numClients }) => ({ model, parameters }) => ({
      tilt: zeroTensors(model.gpu, shapesOf(parameters)),
      numClients,
    })),
    movesOtherwise: true,
    unsoundWith: {
      ...inner.unsoundWith,
      robustAggregation:
        "the server's term must stay the mean of the clients' own, which no rule but the mean gives: take fedprox, or the mean",
      asynchrony:
        "terms of clients and server belong to one round, and updates come from several: take fedprox",
      differentialPrivacy: addsUp,
      localPrivacy: addsUp,
    },
    check(pretrained) {
      checkSendsValues("feddyn", inner);
      checkTakesMean("feddyn", inner);
      checkCoordinates("feddyn", inner, ["renewed", "turned"]);
      inner.check(pretrained);
    },
    plan(state: State, round) {
      const plan = inner.plan(state.inner, round);
      const keeps = shapesOf(prefixed(OWN, pick(state.tilt, sharedNames(plan))));
      return {
        ...plan,
        weighBy: "client",
        local: both(plan.local, dynamic(keeps, sharedNames(plan), alpha)),
      };
    },
    async apply(state: State, aggregate, round) {
      using held = new Held();
      const start = inner.parameters(state.inner);
      const [values, tilt] = [new Map(aggregate.values), new Map(state.tilt)];
      const share = aggregate.clients.length / state.numClients;
      for (const [name, mean] of aggregate.values) {
        const x = start.get(name);
        if (x === undefined) continue;
        const moved = tidy(() => {
          const h = sub(take(tilt, name), mul(sub(mean, x), alpha * share));
          return { h, value: sub(mean, mul(h, 1 / alpha)) };
        });
        tilt.set(name, held.hold(moved.h));
        values.set(name, held.hold(moved.value));
      }
      const next = { ...state, inner: await inner.apply(state.inner, { ...aggregate, values }, round), tilt };
      held.release(next);
      return next;
    },
  }),
});

function dynamic(keeps: Shapes, shared: readonly string[], alpha: number): LocalRule {
  return {
    keeps,
    correct(gradients, values, { start, kept }) {
      for (const name of shared) {
        const away = mul(sub(take(values, name), take(start, name)), alpha);
        accumulate(take(gradients, name), sub(away, take(kept, `${OWN}${name}`)));
      }
    },
    finish(values, { start, kept }) {
      const keep = new Map(shared.map((name) => {
        const own = take(kept, `${OWN}${name}`);
        return [`${OWN}${name}`, add(own, mul(sub(take(values, name), take(start, name)), -alpha))] as const;
      }));
      return { upload: values, keep };
    },
  };
}
