import type { Score, SharedCalls } from "./calls.ts";

/** What the page that trains alone asks of the trainer. */
export interface AloneCalls extends SharedCalls {
  /** Says what memory training will take, without training. */
  forecast: { input: Settings; event: never; output: Forecast };
  /** Trains until the end, or until it is cancelled. */
  train: { input: Settings; event: TrainingEvent; output: Run };
}

/** How to train. */
export interface Settings {
  /** FeDeRA starts from the leading singular vectors of the pretrained weights, LoRA at random. */
  readonly method: "federa" | "lora";
  readonly rank: number;
  readonly alpha: number;
  readonly learningRate: number;
  readonly epochs: number;
  readonly batchSize: number;
  /** Tokens of a text, special ones included. */
  readonly maxLength: number;
  readonly seed: number;
}

/** What training will take. */
export interface Forecast {
  /** The most bytes of GPU memory in use at once, the model's own included. */
  readonly peakBytes: number;
  /** Those of the pretrained model. */
  readonly modelBytes: number;
  readonly steps: number;
  /** Values that are trained. */
  readonly numTrained: number;
  /** Texts that fill the maximum length, and so may be cut. */
  readonly numFull: number;
}

/** A score, and after how many steps. */
export interface StepScore extends Score {
  readonly step: number;
}

/** What is reported during training. */
export type TrainingEvent =
  | { readonly type: "phase"; readonly phase: "preparing" | "starting" | "training" | "scoring" }
  | {
    readonly type: "progress";
    readonly step: number;
    readonly steps: number;
    readonly secondsLeft: number;
  }
  /** The mean loss since the last such event. */
  | { readonly type: "loss"; readonly step: number; readonly loss: number }
  | ({ readonly type: "score" } & StepScore);

/** A run that has ended; its adapter stays with the trainer. */
export interface Run {
  /** Its number, from 1. */
  readonly id: number;
  readonly settings: Settings;
  readonly ended: "finished" | "cancelled" | "lost";
  /** Why, where the device was lost or memory ran out. */
  readonly problem?: string;
  /** Steps that its adapter has been trained for, and all that were planned. */
  readonly step: number;
  readonly steps: number;
  readonly seconds: number;
  /** The last score, which may be of an earlier step. */
  readonly score: StepScore | undefined;
}
