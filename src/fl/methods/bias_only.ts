import { clone } from "../../engine/mod.ts";
import { FedAvg } from "../fed_avg.ts";
import { type FederatedMethod, isHead, type ServerState, trainableParameters } from "../method.ts";

/** FedBF: only biases and the head are trained (BitFit, Ben Zaken et al., arXiv 2106.10199, under FedAvg). */
export const biasOnly: FederatedMethod = {
  name: "fedbf",
  summary: "biases and head trained and averaged (arXiv 2106.10199)",
  init: (pretrained) =>
    Promise.resolve({
      model: pretrained.mapParameters((name, parameter) =>
        biasOnly.trainable(name) ? clone(parameter) : parameter
      ),
    }),
  trainable: (name) => isHead(name) || name.endsWith(".bias"),
  broadcast: (state) => trainableParameters(biasOnly, state.model),
  aggregate: (state: ServerState) => new FedAvg(trainableParameters(biasOnly, state.model)),
  evaluationModel: (state) => state.model,
};
