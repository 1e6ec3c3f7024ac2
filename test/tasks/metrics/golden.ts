import { readFile } from "node:fs/promises";

/** What generate.py wrote; the keys are the names of our scores. */
export interface MetricsReference {
  readonly classes: readonly ({ readonly labels: number[]; readonly predictions: number[] } & ClassScores)[];
  readonly labelSets: readonly {
    readonly labels: number[][];
    readonly predictions: number[][];
    readonly microF1: number;
    readonly macroF1: number;
    readonly exactMatch: number;
  }[];
  readonly numbers: readonly {
    readonly values: number[];
    readonly predictions: number[];
    readonly pearson: number;
    readonly spearman: number;
  }[];
  readonly tags: readonly {
    readonly tags: string[][];
    readonly predictions: string[][];
    readonly entities: [type: string, start: number, end: number][][];
    readonly precision: number;
    readonly recall: number;
    readonly f1: number;
  }[];
  readonly answers: readonly {
    readonly answer: string;
    readonly right: string;
    readonly normalized: string;
    readonly exactMatch: number;
    readonly f1: number;
  }[];
}

interface ClassScores {
  readonly accuracy: number;
  readonly macroF1: number;
  readonly weightedF1: number;
  readonly matthews: number;
}

/** Scores of scikit-learn, SciPy, seqeval and torchmetrics. */
export const reference = JSON.parse(
  await readFile(new URL("../../golden/metrics/reference.json", import.meta.url), "utf8"),
) as MetricsReference;
