import type { RoundReport } from "../../fl/mod.ts";
import type { Evaluation } from "../../tasks/mod.ts";
import type { Identity } from "../checkpoint/identity.ts";
import type { Phase, Unit } from "./units.ts";

/** A round of a unit. */
export type RoundRecord =
  & Pick<RoundReport, "round" | "trainLoss" | "test" | "clients" | "bytesUp" | "bytesDown" | "measures">
  & { readonly lost?: readonly number[] };

/** What a unit came to; a line of a file of records. */
export interface UnitRecord {
  /** See {@linkcode Unit}. */
  readonly key: string;
  readonly phase: Phase;
  readonly label: string;
  readonly setting: string;
  readonly draw: number;
  readonly seed: number;
  readonly learningRate: number;
  /** What the content of model and data was. */
  readonly contents: Pick<Identity, "trainHash" | "testHash" | "baseHash">;
  /** The task's first score, of which higher is better. */
  readonly metric: string;
  /** Null of a unit that diverged before its first round. */
  readonly trainableParameters: number | null;
  readonly totalParameters: number | null;
  /** Whether clients keep part of what they train; its scores are then means over clients' models. */
  readonly isPersonal: boolean;
  readonly before: Evaluation | null;
  readonly rounds: readonly RoundRecord[];
  /** Why it ended before its last round: its numbers were no longer finite. */
  readonly diverged?: string;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly adapter: string;
  readonly federa: string;
}

/** The last evaluation of a unit; null if it diverged. */
export function lastEvaluation({ rounds, diverged }: UnitRecord): Evaluation | null {
  return diverged === undefined ? rounds.at(-1)?.test ?? null : null;
}

/** A record in a line, with numbers to 7 digits, as far as f32 goes. */
export function formatRecord(record: UnitRecord): string {
  return JSON.stringify(
    record,
    (name, value: unknown) =>
      typeof value === "number" && !Number.isInteger(value) && name !== "learningRate"
        ? Number(value.toPrecision(7))
        : value,
  );
}

/** What a unit and its record have in common. */
export function placeOf(
  { phase, contender, setting, draw, seed, learningRate, key }: Unit,
): Pick<UnitRecord, "key" | "phase" | "label" | "setting" | "draw" | "seed" | "learningRate"> {
  return { key, phase, label: contender.label, setting: setting.label, draw, seed, learningRate };
}
