import { join } from "node:path";
import { CorruptFileError } from "../../data/mod.ts";
import { readHistory, type RoundReport } from "../../fl/mod.ts";
import type { Evaluation } from "../../tasks/mod.ts";
import type { Started } from "../run/summary.ts";
import { type Identity, identityParts } from "./identity.ts";

/** What the history of a method says of its rounds so far. */
export interface Past {
  readonly identity: Identity | undefined;
  readonly started: Started | undefined;
  /** From the first round on, none left out. */
  readonly reports: readonly RoundReport[];
  /** Scores with what was tuned after the last round. */
  readonly after: Evaluation | undefined;
  /** The type of the last record: `finished`, `interrupted` or `failed` where it came to an end of its own. */
  readonly end: string;
  /** Records up to that of each round. */
  readonly lengths: readonly number[];
}

/** Name of a method's history in its folder. */
export const HISTORY = "history.jsonl";

/**
 * Reads the history in a method's folder; undefined where it has none yet.
 *
 * @throws {CorruptFileError} when it isn't one, or lacks a round.
 */
export async function readPast(folder: string): Promise<Past | undefined> {
  const path = join(folder, HISTORY);
  const { records } = await readHistory(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return { records: [] };
    throw error;
  });
  if (records.length === 0) return undefined;
  const reports: RoundReport[] = [];
  const lengths: number[] = [];
  records.forEach(({ type, ...report }, i) => {
    if (type !== "round") return;
    if (report["round"] !== reports.length + 1) {
      throw new CorruptFileError(
        `Cannot continue history ${path}: line ${i + 1} must be round ${reports.length + 1}, got round ${
          report["round"]
        }`,
      );
    }
    reports.push(report as unknown as RoundReport);
    lengths.push(i + 1);
  });
  const find = (type: string) => records.findLast((record) => record["type"] === type);
  const identity = find("header")?.["identity"] as Partial<Identity> | undefined;
  return {
    identity: identity && identityParts.every((part) => typeof identity[part] === "string")
      ? identity as Identity
      : undefined,
    started: find("initialized") as unknown as Past["started"],
    reports,
    after: find("tuned")?.["test"] as Evaluation | undefined,
    end: String(records.at(-1)!["type"]),
    lengths,
  };
}
