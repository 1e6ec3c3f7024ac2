import { averagingMethod } from "../fed_avg.ts";
import { isHead } from "../method.ts";
import { fedIt } from "./fed_it.ts";

/**
 * FFA-LoRA (Sun et al., arXiv 2403.12313): A stays as it was drawn, the same for all; only B is trained and averaged,
 * which makes the average exact and cuts the traffic.
 */
export const ffaLora = averagingMethod({
  name: "ffa-lora",
  summary: "LoRA with A frozen; B averaged, which is exact (arXiv 2403.12313)",
  check: fedIt.check,
  init: fedIt.init,
  trainable: (name) => isHead(name) || name.endsWith(".loraB"),
});
