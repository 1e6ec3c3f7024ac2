import type { ClassCount, ClassPrediction, ModelFileProgress, Pooling, Precision } from "federa";

/** What both pages ask of the trainer, which runs in a worker where the browser lets it. */
export interface SharedCalls {
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
  /** What a trained model says of a text. */
  predict: { input: { readonly run: number; readonly text: string }; event: never; output: ClassPrediction };
  /** The files of a trained adapter. */
  download: {
    input: { readonly run: number; readonly base: string };
    event: never;
    output: AdapterFiles;
  };
}

/** Where a model comes from, and what it must be. */
export type ModelChoice =
  & { readonly like?: ModelLikeness | undefined }
  & (
    /** Files that a person chose, by their names in the model's folder. */
    | { readonly files: Readonly<Record<string, Blob>>; readonly name: string }
    | { readonly address: string }
  );

/** What a federation says of its model. */
export interface ModelLikeness {
  /** As the family does, where it is left out. */
  readonly pooling?: Pooling | undefined;
  readonly precision: Precision;
  readonly fingerprint: string;
}

/** What is known of an open model. */
export interface ModelInfo {
  readonly name: string;
  readonly family: string;
  readonly numParameters: number;
  /** Bytes of its weights in f32. */
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

/** Scores of a model on what was held out. */
export interface Score {
  readonly loss: number;
  readonly accuracy: number;
  readonly macroF1: number;
}

/** Files to keep. */
export interface AdapterFiles {
  /** A tar archive of what PEFT and sentence-transformers load. */
  readonly peft: Blob;
  readonly names: readonly string[];
  /** federa's own file, which also knows the start. */
  readonly own: Blob;
}
