import type { Suite } from "../contender.ts";
import { attentionSuite } from "./attention.ts";
import { codecsSuite } from "./codecs.ts";
import { blockSuite } from "./block.ts";
import { federationSuite } from "./federation.ts";
import { growthSuite } from "./growth.ts";
import { int8Suite } from "./int8.ts";
import { initializationSuite } from "./initialization.ts";
import { layerNormSuite } from "./layer_norm.ts";
import { loraStepSuite } from "./lora_step.ts";
import { matmulSuite } from "./matmul.ts";
import { measuresSuite } from "./measures.ts";
import { paddingSuite } from "./padding.ts";
import { startupSuite } from "./startup.ts";
import { memorySuite } from "./memory.ts";
import { svdSuite } from "./svd.ts";

/** Every suite, in the order they run. */
export const suites: readonly Suite[] = [
  matmulSuite,
  int8Suite,
  attentionSuite,
  layerNormSuite,
  svdSuite,
  initializationSuite,
  loraStepSuite,
  blockSuite,
  paddingSuite,
  codecsSuite,
  growthSuite,
  measuresSuite,
  memorySuite,
  startupSuite,
  federationSuite,
];
