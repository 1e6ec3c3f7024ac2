import type { Local, LocalRule, Method, RoundPlan } from "../method.ts";
import type { Tensors } from "../tensors.ts";

/** A method whose clients follow another local rule too. */
export function withLocalRule(inner: Method, rule: (plan: RoundPlan) => LocalRule): Method {
  return {
    ...inner,
    plan(state, round) {
      const plan = inner.plan(state, round);
      return { ...plan, local: both(plan.local, rule(plan)) };
    },
  };
}

/** Two local rules one after the other: the outer one corrects last, and finishes what the inner one sends. */
export function both(inner: LocalRule | undefined, outer: LocalRule): LocalRule {
  if (inner === undefined) return outer;
  const finish = (values: Tensors, local: Local) => {
    const first = inner.finish?.(values, local) ?? { upload: values };
    const second = outer.finish?.(first.upload, local) ?? { upload: first.upload };
    return { upload: second.upload, keep: new Map([...first.keep ?? [], ...second.keep ?? []]) };
  };
  return {
    keeps: new Map([...inner.keeps ?? [], ...outer.keeps ?? []]),
    sums: new Map([...inner.sums ?? [], ...outer.sums ?? []]),
    correct(gradients, values, local) {
      inner.correct?.(gradients, values, local);
      outer.correct?.(gradients, values, local);
    },
    ...((inner.finish ?? outer.finish) && { finish }),
  };
}

/**
 * Refuses methods whose clients send something else than values.
 *
 * @throws {TypeError} for such a method.
 */
export function checkSendsValues(name: string, inner: Method): void {
  if (!inner.sendsOtherwise) return;
  throw new TypeError(
    `Cannot put ${name} over ${inner.name}: it works on values of parameters, and clients of ${inner.name} send something else`,
  );
}
