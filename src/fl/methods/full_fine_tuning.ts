import { averagingMethod } from "../fed_avg.ts";
import { trainableParameters, withOwnParameters } from "../method.ts";

/** Full fine-tuning: every parameter carries the client axis, is trained and averaged. The costly reference. */
export const fullFineTuning = averagingMethod({
  name: "fft",
  summary: "every parameter trained and averaged",
  check: (pretrained) => void trainableParameters(pretrained, () => true),
  init: (pretrained) => Promise.resolve({ model: withOwnParameters(pretrained, () => true) }),
  trainable: () => true,
});
