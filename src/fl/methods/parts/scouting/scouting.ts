import { accumulate, mul, type Shape, type Tensor, tensor } from "../../../../engine/mod.ts";
import type { RoundPlan } from "../../../method.ts";
import { perMember, take, type Tensors } from "../../../tensors.ts";

/** Why what a scouting round sends isn't protected by noise. */
const gradientsSent =
  "its first round sends gradients of whole weights, which would need a bound and a budget of their own: take federa-sb";

/** What methods with a scouting round aren't sound with for that. */
export const unsoundByScouting = {
  differentialPrivacy: gradientsSent,
  localPrivacy: gradientsSent,
} as const;

/** By what names means over gradients are sent up. */
const GRADIENT = ".gradient";

/** What is observed of the gradients of weights. */
export interface Observation {
  /** Of a gradient [C, out, in], what is added up: [C, ...]. The gradient itself by default. */
  of?(gradient: Tensor): Tensor;
  /** Its shape without the client axis, of a weight [out, in]. */
  shape?(weight: Shape): Shape;
}

/**
 * A round in which clients observe the gradients of frozen weights at the global model and nothing moves: each sends the mean over
 * its steps of what is observed, o·i values for a layer where that is the gradient itself. A client needs memory for the weights it
 * observes, their gradients and the sums. The server sees gradients, which tell more of the examples than trained factors do.
 *
 * @param weights shapes of the weights by layer, in model order.
 */
export function scoutingPlan(
  weights: Readonly<Record<string, Shape>>,
  { of = (gradient) => gradient, shape = (weight) => weight }: Observation = {},
): RoundPlan {
  const layers = Object.keys(weights);
  return {
    trained: layers.map((layer) => `${layer}.weight`),
    // All have the pretrained weights.
    download: () => new Map(),
    local: {
      isStill: true,
      sums: new Map(Object.entries(weights).map(([layer, weight]) => [`${layer}${GRADIENT}`, shape(weight)])),
      correct(gradients, _, { sums }) {
        for (const layer of layers) {
          accumulate(take(sums, `${layer}${GRADIENT}`), of(take(gradients, `${layer}.weight`)));
        }
      },
      finish: (_, { sums, steps }) => ({
        upload: new Map([...sums].map(([name, sum]) => {
          const shares = tensor(sum.gpu, steps.map((count) => 1 / count));
          return [name, mul(sum, perMember(shares, sum))];
        })),
      }),
    },
  };
}

/** The mean over clients of what they observed of a layer. */
export function observed(values: Tensors, layer: string): Tensor {
  return take(values, `${layer}${GRADIENT}`);
}
