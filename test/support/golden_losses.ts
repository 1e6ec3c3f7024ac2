import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Folder of the golden losses, with a model of each kind of task. */
export const lossesFolder = fileURLToPath(new URL("../golden/losses", import.meta.url));

/** What torch found of clients that train apart, and of their average. */
export interface GoldenFederation {
  /** Mean over the steps of each client. */
  readonly trainLosses: readonly number[];
  /** Of each client's model, on all rows. */
  readonly losses: readonly number[];
  /** The clients' mean, by numbers of examples. */
  readonly trainLoss: number;
  /** Of the averaged model, on all rows. */
  readonly averageLoss: number;
}

/** What torch found of one kind of task. */
export interface GoldenTask {
  readonly targets: readonly (number | readonly number[])[];
  readonly logits: readonly number[];
  readonly loss: number;
  /** With the batches of `plans`. */
  readonly local: GoldenFederation;
  /** With one step on all rows of each client. */
  readonly round: GoldenFederation;
}

/** Rows of tokens, who trains on which, and what comes of it in float64: see `test/golden/losses/generate.py`. */
export const goldenLosses = JSON.parse(readFileSync(`${lossesFolder}/reference.json`, "utf8")) as {
  readonly rate: number;
  readonly plans: readonly (readonly (readonly number[])[])[];
  readonly clients: readonly (readonly number[])[];
  readonly ids: readonly (readonly number[])[];
  readonly mask: readonly (readonly number[])[];
  readonly tasks: Readonly<Record<string, GoldenTask>>;
};
