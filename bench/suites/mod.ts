import type { Suite } from "../contender.ts";
import { attentionSuite } from "./attention.ts";
import { cohortSuite } from "./cohort.ts";
import { layerNormSuite } from "./layer_norm.ts";
import { loraStepSuite } from "./lora_step.ts";
import { matmulSuite } from "./matmul.ts";
import { svdSuite } from "./svd.ts";

/** Every suite, in the order they run. */
export const suites: readonly Suite[] = [
  matmulSuite,
  attentionSuite,
  layerNormSuite,
  svdSuite,
  loraStepSuite,
  cohortSuite,
];
