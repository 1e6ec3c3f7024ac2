import { attachAdapters, lora } from "../../federa/mod.ts";
import { FedAvg } from "../fed_avg.ts";
import { type FederatedMethod, isHead, type ServerState, trainableParameters } from "../method.ts";

/** FedIT (Zhang et al., arXiv 2305.05644): plain LoRA, A and B averaged separately. */
export const fedIt: FederatedMethod = {
  name: "fedit",
  summary: "plain LoRA; A and B averaged separately (arXiv 2305.05644)",
  init: async (pretrained, options) => ({
    model: await attachAdapters(pretrained, { ...options, initialization: lora }),
  }),
  trainable: (name) => isHead(name) || /\.lora[AB]$/.test(name),
  broadcast: (state) => trainableParameters(fedIt, state.model),
  aggregate: (state: ServerState) => new FedAvg(trainableParameters(fedIt, state.model)),
  evaluationModel: (state) => state.model,
};
