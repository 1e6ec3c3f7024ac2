import type { Local, LocalRule, Method, RoundPlan } from "../method.ts";
import type { Coordinates } from "../legality.ts";
import type { Tensors } from "../tensors.ts";

/** A method whose clients follow another local rule too. */
export function withLocalRule(inner: Method, rule: (plan: RoundPlan) => LocalRule): Method {
  const withRule = (plan: RoundPlan): RoundPlan => ({
    ...plan,
    local: both(plan.local, rule(plan)),
    ...(plan.given && { given: (sent) => withRule(plan.given!(sent)) }),
  });
  return { ...inner, plan: (state, round) => withRule(inner.plan(state, round)) };
}

/** A plan whose clients are given more beside parameters. */
export function withSent(plan: RoundPlan, more: Tensors): RoundPlan {
  const { sent = [], download } = plan;
  return {
    ...plan,
    sent: new Map([...sent, ...more]),
    ...(download && { download: (client) => new Map([...download(client), ...more]) }),
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
  const prepare = async (values: Tensors, local: Local) => {
    const first = await inner.prepare?.(values, local);
    return new Map([...first ?? [], ...await outer.prepare?.(values, local) ?? []]);
  };
  return {
    keeps: new Map([...inner.keeps ?? [], ...outer.keeps ?? []]),
    ...((inner.observe ?? outer.observe) && {
      observe: (model, inputs) =>
        new Map([...inner.observe?.(model, inputs) ?? [], ...outer.observe?.(model, inputs) ?? []]),
    }),
    ...((inner.sends ?? outer.sends) &&
      { sends: new Map([...inner.sends ?? [], ...outer.sends ?? []]) }),
    sums: new Map([...inner.sums ?? [], ...outer.sums ?? []]),
    correct(gradients, values, local) {
      inner.correct?.(gradients, values, local);
      outer.correct?.(gradients, values, local);
    },
    ...((inner.prepare ?? outer.prepare) && { prepare }),
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

/**
 * Refuses methods whose factors stand in coordinates that an algorithm can't follow.
 *
 * @throws {TypeError} for such a method.
 */
export function checkCoordinates(
  name: string,
  { name: inner, coordinates }: Method,
  unfit: readonly Coordinates[],
): void {
  if (coordinates === undefined || !unfit.includes(coordinates)) return;
  throw new TypeError(
    coordinates === "renewed"
      ? `Cannot put ${name} over ${inner}: it goes on with what it has of earlier rounds, and the factors of ${inner} are others each round; take fedit`
      : `Cannot put ${name} over ${inner}: it takes what clients send for where their steps led, and clients of ${inner} turn it first; take fedit`,
  );
}

/**
 * Refuses methods whose server combines the uploads of each client, for an algorithm that gives it another mean.
 *
 * @throws {TypeError} for such a method.
 */
export function checkTakesMean(name: string, inner: Method): void {
  if (inner.sees !== "each") return;
  throw new TypeError(
    `Cannot put ${name} over ${inner.name}: it moves by the clients' mean, and ${inner.name} combines the uploads of each`,
  );
}
