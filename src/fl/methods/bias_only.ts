import { averagingMethod } from "../fed_avg.ts";
import { isHead, trainableParameters, withOwnParameters } from "../method.ts";

/** FedBF: only biases and the head are trained (BitFit, Ben Zaken et al., arXiv 2106.10199, under FedAvg). */
export const biasOnly = averagingMethod({
  name: "fedbf",
  summary: "biases and head trained and averaged (arXiv 2106.10199)",
  check: (pretrained) => void trainableParameters(pretrained, isTrained),
  init: (pretrained) => Promise.resolve({ model: withOwnParameters(pretrained, isTrained) }),
  trainable: isTrained,
});

function isTrained(name: string): boolean {
  return isHead(name) || name.endsWith(".bias");
}
