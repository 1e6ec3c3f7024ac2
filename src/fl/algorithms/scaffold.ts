import { z } from "zod";
import { accumulate, add, div, mul, sub, type Tensor, tensor, tidy } from "../../engine/mod.ts";
import { Held } from "../held.ts";
import { type LocalRule, sharedNames } from "../method.ts";
import {
  perMember,
  pick,
  prefixed,
  type Shapes,
  shapesOf,
  take,
  type Tensors,
  withoutPrefix,
  zeroTensors,
} from "../tensors.ts";
import { defineAlgorithm } from "./define_algorithm.ts";
import { type OverState, withOwnState } from "./own_state.ts";
import { both, checkCoordinates, checkSendsValues, withSent } from "./local_rules.ts";

type State = OverState & {
  /** The server's control variate c, by parameter. */
  readonly control: Tensors;
  readonly numClients: number;
};

const clippedAway =
  "its control variates are longer than the changes by one by the learning rate, and clipped together they leave these nothing: take fedprox";

/** Of what is sent to clients, kept by them, and sent back. */
const [CONTROL, CHANGE] = ["scaffold/", "scaffold-change/"];

/**
 * SCAFFOLD with option II (Karimireddy et al., arXiv 1910.06378): clients step by g − c_k + c, then c_k⁺ = c_k − c + (x − y)/(K·η);
 * the server moves by the mean change of the cohort, every client counting the same, and c by |S|/N of the mean of c_k⁺ − c_k.
 * Clients keep c_k.
 */
export const scaffold = defineAlgorithm({
  name: "scaffold",
  summary: "control variates correct the drift of clients, which keep theirs",
  papers: ["1910.06378"],
  options: z.strictObject({}),
  over: (inner) => ({
    ...withOwnState<State>(inner, ({ numClients }) => ({ model, parameters }) => ({
      control: zeroTensors(model.gpu, shapesOf(parameters)),
      numClients,
    })),
    unsoundWith: {
      ...inner.unsoundWith,
      robustAggregation:
        "its control variate must stay the mean of the clients' own, which no rule but the mean gives: take fedprox, or the mean",
      asynchrony:
        "control variates of clients and server belong to one round, and updates come from several: take fedprox",
      differentialPrivacy: clippedAway,
      localPrivacy: clippedAway,
    },
    check(pretrained) {
      checkSendsValues("scaffold", inner);
      checkCoordinates("scaffold", inner, ["renewed", "turned"]);
      inner.check(pretrained);
    },
    checkTraining(training) {
      inner.checkTraining?.(training);
      const { name, ...options } = training.optimizer;
      if (
        name !== "sgd" || ("momentum" in options && options.momentum !== 0 && options.momentum !== undefined)
      ) {
        throw new TypeError(
          `Cannot run scaffold with ${
            name === "sgd" ? "momentum" : name
          }: its control variates are mean gradients only ` +
            'under plain SGD; set the optimizer to { "name": "sgd" }',
        );
      }
    },
    plan(state: State, round) {
      const plan = inner.plan(state.inner, round);
      const control = prefixed(CONTROL, pick(state.control, sharedNames(plan)));
      return {
        ...withSent(plan, control),
        weighBy: "client",
        local: both(plan.local, corrected(shapesOf(control), sharedNames(plan))),
      };
    },
    async apply(state: State, aggregate, round) {
      using held = new Held();
      const share = aggregate.clients.length / state.numClients;
      const changes = withoutPrefix(CHANGE, aggregate.values);
      const moved = held.hold(
        tidy(() =>
          new Map([...changes].map(([name, change]) => [
            name,
            add(take(state.control, name), mul(change, share)),
          ]))
        ),
      );
      const values = new Map([...aggregate.values].filter(([name]) => !name.startsWith(CHANGE)));
      const next = await inner.apply(state.inner, { ...aggregate, values }, round);
      return { ...state, inner: next, control: new Map([...state.control, ...held.release(moved)]) };
    },
  }),
});

function corrected(keeps: Shapes, shared: readonly string[]): LocalRule {
  return {
    keeps,
    correct(gradients, _, { sent, kept }) {
      for (const name of shared) {
        const [c, own] = [take(sent, `${CONTROL}${name}`), take(kept, `${CONTROL}${name}`)];
        accumulate(take(gradients, name), sub(c, own));
      }
    },
    finish(values, { start, sent, kept, steps, learningRate }) {
      const upload = new Map(values);
      const keep = new Map<string, Tensor>();
      for (const name of shared) {
        const y = take(values, name);
        const [c, own] = [take(sent, `${CONTROL}${name}`), take(kept, `${CONTROL}${name}`)];
        const lengths = tensor(y.gpu, steps.map((count) => count * learningRate));
        const mean = div(sub(take(start, name), y), perMember(lengths, y));
        const next = add(sub(own, c), mean);
        keep.set(`${CONTROL}${name}`, next);
        upload.set(`${CHANGE}${name}`, sub(next, own));
      }
      return { upload, keep };
    },
  };
}
