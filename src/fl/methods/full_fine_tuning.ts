import { clone } from "../../engine/mod.ts";
import { FedAvg } from "../fed_avg.ts";
import { type FederatedMethod, type ServerState, trainableParameters } from "../method.ts";

/** Full fine-tuning: every parameter carries the client axis, is trained and averaged. The costly reference. */
export const fullFineTuning: FederatedMethod = {
  name: "fft",
  summary: "every parameter trained and averaged",
  init: (pretrained) =>
    Promise.resolve({ model: pretrained.mapParameters((_, parameter) => clone(parameter)) }),
  trainable: () => true,
  broadcast: (state) => trainableParameters(fullFineTuning, state.model),
  aggregate: (state: ServerState) => new FedAvg(trainableParameters(fullFineTuning, state.model)),
  evaluationModel: (state) => state.model,
};
