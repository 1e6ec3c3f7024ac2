import {
  adapterOptions,
  doraOption,
  initializationOf,
  startOption,
} from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";

/**
 * The baseline of all data in one place: one party trains on everybody's, in a round as many steps as a cohort takes together on
 * average.
 */
export const central = defineMethod({
  name: "central",
  trains: "LoRA A and B on all data in one place",
  server: "trains itself: nothing is sent",
  rule: "one party trains A and B on all data",
  up: "nothing",
  down: "nothing",
  options: adapterOptions.extend({ start: startOption.default("lora"), dora: doraOption }),
  create: (options) => ({
    ...lowRankAveraging(options, { name: "central", initialization: initializationOf(options) }),
    isCentral: true,
  }),
});
