import { z } from "zod";
import { add, div, mul, sub, type Tensor, tensor, tidy } from "../../engine/mod.ts";
import { Held } from "../held.ts";
import type { Local, LocalRule } from "../method.ts";
import { perMember } from "../tensors.ts";
import { defineAlgorithm } from "./define_algorithm.ts";
import { checkCoordinates, checkSendsValues, withLocalRule } from "./local_rules.ts";

const clippedAway =
  "clients send how far their steps reach, which clipped together with their changes leaves these nothing: take fedavgm or fedprox";

/** The name by which clients send a_k. */
const LENGTH = "fednova/length";

/**
 * FedNova (Wang et al., arXiv 2007.07481): clients send d_k = (y − x)/a_k, normalised by how far their steps reach, and the server
 * moves by (Σ p_k·a_k)·Σ p_k·d_k, so that clients with more steps don't pull harder. With τ steps a_k = τ, and under SGD
 * with momentum ρ it is [τ − ρ·(1 − ρ^τ)/(1 − ρ)]/(1 − ρ). AdamW's steps count as τ.
 */
export const fedNova = defineAlgorithm({
  name: "fednova",
  summary: "changes are normalised by each client's steps",
  papers: ["2007.07481"],
  options: z.strictObject({}),
  over: (inner) => ({
    ...withLocalRule(inner, () => normalized),
    movesOtherwise: true,
    unsoundWith: {
      ...inner.unsoundWith,
      robustAggregation:
        "clients send their numbers of steps beside changes, and a rule would compare both as one: take fedprox, or the mean",
      asynchrony: "its mean number of steps is one round's, and updates come from several: take fedprox",
      differentialPrivacy: clippedAway,
      localPrivacy: clippedAway,
    },
    check(pretrained) {
      checkSendsValues("fednova", inner);
      checkCoordinates("fednova", inner, ["turned"]);
      if (inner.sees === "each") {
        throw new TypeError(
          `Cannot put fednova over ${inner.name}: clients send normalised changes, and ${inner.name} combines the uploads of each`,
        );
      }
      inner.check(pretrained);
    },
    async apply(state, aggregate, round) {
      using held = new Held();
      const start = inner.parameters(state);
      const length = aggregate.values.get(LENGTH);
      if (length === undefined) return inner.apply(state, aggregate, round);
      const values = held.hold(
        tidy(() =>
          new Map(
            [...aggregate.values].flatMap(([name, mean]): [string, Tensor][] => {
              if (name === LENGTH) return [];
              const x = start.get(name);
              return [[name, x === undefined ? mean : add(x, mul(sub(mean, x), length))]];
            }),
          )
        ),
      );
      const next = await inner.apply(state, { ...aggregate, values }, round);
      held.release(next);
      return next;
    },
  }),
});

const normalized: LocalRule = {
  finish(values, local) {
    const [first] = values.values();
    // Nothing goes up.
    if (first === undefined) return { upload: values };
    const lengths = tensor(first.gpu, lengthsOf(local));
    const upload = new Map([...values].map(([name, y]) => {
      const x = local.start.get(name);
      return [name, x === undefined ? y : add(x, div(sub(y, x), perMember(lengths, y)))];
    }));
    return { upload: upload.set(LENGTH, lengths) };
  },
};

/** a_k of each client. */
function lengthsOf({ steps, optimizer }: Local): number[] {
  const rho = optimizer.name === "sgd" ? optimizer.momentum ?? 0 : 0;
  return steps.map((tau) => (tau - rho * (1 - rho ** tau) / (1 - rho)) / (1 - rho));
}
