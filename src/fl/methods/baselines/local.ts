import {
  adapterOptions,
  doraOption,
  initializationOf,
  startOption,
} from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";

const nothingSent = "its clients send nothing, so there is nothing to protect: run it without";

/** The baseline of clients that train alone: nothing is sent, and each client's own model is evaluated. */
export const local = defineMethod({
  name: "local",
  trains: "LoRA A and B, each client alone",
  server: "does nothing",
  rule: "A_k and B_k stay with client k",
  up: "nothing",
  down: "nothing",
  options: adapterOptions.extend({ start: startOption.default("lora"), dora: doraOption }),
  create: (options) => ({
    ...lowRankAveraging(options, {
      name: "local",
      initialization: initializationOf(options),
      isShared: () => false,
    }),
    unsoundWith: { differentialPrivacy: nothingSent, localPrivacy: nothingSent },
  }),
});
