import { FedAvg } from "../fed_avg.ts";
import { type FederatedMethod, isHead, type ServerState, trainableParameters } from "../method.ts";
import { fedIt } from "./fed_it.ts";

/**
 * FFA-LoRA (Sun et al., arXiv 2403.12313): A stays as it was drawn, the same for all; only B is trained and averaged, which
 * makes the average exact and halves the traffic.
 */
export const ffaLora: FederatedMethod = {
  ...fedIt,
  name: "ffa-lora",
  summary: "LoRA with A frozen; B averaged, which is exact (arXiv 2403.12313)",
  trainable: (name) => isHead(name) || name.endsWith(".loraB"),
  broadcast: (state) => trainableParameters(ffaLora, state.model),
  aggregate: (state: ServerState) => new FedAvg(trainableParameters(ffaLora, state.model)),
};
