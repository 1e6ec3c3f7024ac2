import type { ClassCount, ClassPrediction, ModelFileProgress } from "federa";

/** What the page asks the trainer for, which runs in a worker where the browser lets it. */
export interface TrainerCalls {
  /** Opens a pretrained model, and a GPU device if there is none yet. */
  openModel: {
    input: ModelChoice;
    event: ModelFileProgress | { readonly tensors: number; readonly of: number };
    output: ModelInfo;
  };
  /** Reads a table from a file, whose rows stay with the trainer. */
  readTable: { input: File; event: never; output: TableInfo };
  /** Takes a text and a class out of each row, and holds some rows out for scoring. */
  chooseColumns: { input: Columns; event: never; output: DataInfo };
  /** Says what memory training will take, without training. */
  forecast: { input: Settings; event: never; output: Forecast };
  /** Trains until the end, or until it is cancelled. */
  train: { input: Settings; event: TrainingEvent; output: Run };
  /** What a trained model says of a text. */
  predict: { input: { readonly run: number; readonly text: string }; event: never; output: ClassPrediction };
  /** The files of a trained adapter. */
  download: { input: { readonly run: number; readonly base: string }; event: never; output: AdapterFiles };
}

/** Files that a person chose, by their names in the model's folder; or an address. */
export type ModelChoice =
  | { readonly files: Readonly<Record<string, Blob>>; readonly name: string }
  | { readonly address: string };

/** What is known of an open model. */
export interface ModelInfo {
  readonly name: string;
  readonly family: string;
  readonly numParameters: number;
  /** Bytes of its weights on the device. */
  readonly bytes: number;
  readonly hiddenSize: number;
  /** Tokens of the longest text that it reads. */
  readonly maxLength: number;
  readonly pooling: string;
  readonly device: string;
  /** Whether the adapter runs on the CPU. */
  readonly isSoftware: boolean;
  readonly notices: readonly string[];
}

/** A table that was read. */
export interface TableInfo {
  readonly columns: readonly string[];
  readonly numRows: number;
  /** The first rows, as text in the order of the columns. */
  readonly preview: readonly (readonly string[])[];
  readonly notices: readonly string[];
}

/** Which columns hold the text and the class. */
export interface Columns {
  readonly text: string;
  readonly label: string;
}

/** Examples, ready to train on. */
export interface DataInfo {
  readonly classes: readonly ClassCount[];
  readonly numTrain: number;
  /** Held out for scoring. */
  readonly numTest: number;
  /** The score of a model that always says the commonest class. */
  readonly majority: number;
  readonly notices: readonly string[];
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

/** Scores of a model on what was held out. */
export interface Score {
  readonly step: number;
  readonly loss: number;
  readonly accuracy: number;
  readonly macroF1: number;
}

/** What is reported during training. */
export type TrainingEvent =
  | { readonly type: "phase"; readonly phase: "preparing" | "starting" | "training" | "scoring" }
  | { readonly type: "progress"; readonly step: number; readonly steps: number; readonly secondsLeft: number }
  /** The mean loss since the last such event. */
  | { readonly type: "loss"; readonly step: number; readonly loss: number }
  | ({ readonly type: "score" } & Score);

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
  readonly score: Score | undefined;
}

/** Files to keep. */
export interface AdapterFiles {
  /** A tar archive of what PEFT and sentence-transformers load. */
  readonly peft: Blob;
  readonly names: readonly string[];
  /** federa's own file, which also knows the start. */
  readonly own: Blob;
}
