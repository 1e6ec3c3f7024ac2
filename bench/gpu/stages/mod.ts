import type { Stage } from "../stage.ts";
import { attentionStage } from "./attention.ts";
import { blockStage } from "./block.ts";
import { growthStage } from "./growth.ts";
import { loraStepStage } from "./lora_step.ts";
import { matmulStage } from "./matmul.ts";
import { svdStage } from "./svd.ts";
import { tilesStage } from "./tiles.ts";

/** What is measured, by worth: the last are left out where time runs short. */
export const stages: Readonly<Record<string, Stage>> = {
  matmul: matmulStage,
  lora_step: loraStepStage,
  block: blockStage,
  attention: attentionStage,
  tiles: tilesStage,
  svd: svdStage,
  growth: growthStage,
};

/** The longest that each may take, in seconds. */
export const stageSeconds: Readonly<Record<string, number>> = {
  matmul: 90,
  lora_step: 60,
  block: 50,
  attention: 40,
  tiles: 50,
  svd: 70,
  growth: 50,
};
