import { add, full, sub, type Tensor, tidy } from "../../engine/mod.ts";
import { Held } from "../held.ts";
import type { Method } from "../method.ts";
import { take, type Tensors } from "../tensors.ts";
import { type OverState, withOwnState } from "./own_state.ts";
import { checkCoordinates, checkSendsValues, checkTakesMean } from "./local_rules.ts";

/** A server optimiser: elementwise, with some moments of each parameter. */
export interface ServerOptimizer<Moment extends string> {
  /** What each moment begins with. */
  readonly moments: Readonly<Record<Moment, number>>;
  /** The step that a mean change Δ becomes, and the next moments. */
  step(change: Tensor, moments: Readonly<Record<Moment, Tensor>>): {
    readonly move: Tensor;
    readonly moments: Readonly<Record<Moment, Tensor>>;
  };
}

type State = OverState & {
  readonly moments: { readonly [moment: string]: Tensors };
};

/**
 * A method whose server moves by an optimiser's step on the clients' mean change instead of by the change itself: what the method
 * gets as the clients' mean is x + step(mean − x). Moments of a parameter stay as they are in rounds that don't train it.
 */
export function withServerOptimizer<Moment extends string>(
  name: string,
  inner: Method,
  optimizer: ServerOptimizer<Moment>,
): Method<State> {
  const moments = Object.keys(optimizer.moments) as Moment[];
  return {
    ...withOwnState<State>(inner, () => ({ parameters }) => {
      const begin = (value: number) =>
        new Map([...parameters].map(([each, { gpu, shape }]) => [each, full(gpu, shape, value)]));
      return {
        moments: Object.fromEntries(moments.map((moment) => [moment, begin(optimizer.moments[moment])])),
      };
    }),
    movesOtherwise: true,
    check(pretrained) {
      checkSendsValues(name, inner);
      checkCoordinates(name, inner, ["renewed"]);
      checkTakesMean(name, inner);
      inner.check(pretrained);
    },
    async apply(state, aggregate, round) {
      using held = new Held();
      const start = inner.parameters(state.inner);
      const values = new Map(aggregate.values);
      const next = Object.fromEntries(moments.map((moment) => [moment, new Map(state.moments[moment])]));
      for (const [each, mean] of aggregate.values) {
        const x = start.get(each);
        if (x === undefined) continue;
        const before = Object.fromEntries(
          moments.map((moment) => [moment, take(state.moments[moment]!, each)]),
        ) as Record<Moment, Tensor>;
        const stepped = tidy(() => {
          const { move, moments } = optimizer.step(sub(mean, x), before);
          return { value: add(x, move), moments };
        });
        values.set(each, held.hold(stepped.value));
        for (const moment of moments) next[moment]!.set(each, held.hold(stepped.moments[moment]));
      }
      const result = {
        inner: await inner.apply(state.inner, { ...aggregate, values }, round),
        moments: next,
      };
      held.release(result);
      return result;
    },
  };
}
