import { join } from "node:path";
import { CorruptFileError } from "../../data/mod.ts";
import { FederaError, type Gpu } from "../../engine/mod.ts";
import {
  type ClientStore,
  diskStore,
  hostStore,
  type RoundReport,
  type RunState,
  truncateHistory,
} from "../../fl/mod.ts";
import { disposeTree } from "../../fl/tree.ts";
import { describeAdapter } from "../gpu/describe_adapter.ts";
import type { Reporter } from "../report/reporter.ts";
import type { Config } from "../config/config.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { describeChanges, type Identity } from "./identity.ts";
import { HISTORY, type Past, readPast } from "./past.ts";

/** A run can't go on from what its folder holds; the message says why, and what to do. */
export class ResumeError extends FederaError {
  override name = "ResumeError";
}

/** What a method goes on from. */
export interface Continuation {
  readonly state: RunState;
  readonly started: NonNullable<Past["started"]>;
  /** Of the rounds that the state has behind it. */
  readonly reports: readonly RoundReport[];
}

/** Options of {@linkcode continueMethod}. */
export interface ContinueOptions {
  /** Of the method. */
  readonly folder: string;
  readonly checkpoints: Checkpoints;
  /** Where clients keep their states from now on. */
  readonly clientState: Config["clientState"];
  readonly label: string;
  readonly identity: Identity;
  readonly reporter: Reporter;
}

/**
 * Finds the last good checkpoint of a method and cuts its history off after the round of it; undefined when it has none, as when
 * it was ended in its first round. Lines say which checkpoints can't be used.
 *
 * @throws {ResumeError} when there are checkpoints and none of them can be used, or what they follow from has changed.
 */
export async function continueMethod(
  gpu: Gpu,
  { folder, checkpoints, clientState, label, identity, reporter }: ContinueOptions,
): Promise<Continuation | undefined> {
  const past = await readPast(folder);
  const rounds = await checkpoints.rounds();
  const problems: string[] = [];
  const done = past?.reports.length ?? 0;
  // The round that was in its last report when the run was ended.
  if (rounds[0] !== undefined && rounds[0] < done - 1) {
    problems.push(`Cannot find checkpoint ${checkpoints.pathOf(done)}: it is missing`);
  }
  for (const round of rounds) {
    const found = await checkpoints.read(gpu, round).catch((error) => {
      if (!(error instanceof CorruptFileError)) throw error;
      problems.push(error.message);
    });
    if (found === undefined) continue;
    try {
      checkUnchanged(label, found.identity, identity);
      if (past?.started === undefined || round > done) {
        problems.push(
          `Cannot use checkpoint ${checkpoints.pathOf(round)}: the history ends with round ${done}`,
        );
        disposeTree(found.state.method);
        continue;
      }
      for (const problem of problems) reporter.line(`${problem}; the one of round ${round} is taken`);
      if (found.adapter !== describeAdapter(gpu)) {
        reporter.line(
          `${label} was trained on ${found.adapter} until round ${round}: on another adapter, later rounds may differ in ` +
            "their last bits",
        );
      }
      await truncateHistory(join(folder, HISTORY), past.lengths[round - 1]!);
      await checkpoints.removeAfter(round);
      const clients = await moveClients(found.state.clients, clientState, checkpoints.clientFolder);
      return {
        state: { ...found.state, clients },
        started: past.started,
        reports: past.reports.slice(0, round),
      };
    } catch (error) {
      disposeTree(found.state.method);
      throw error;
    }
  }
  if (rounds.length > 0) {
    throw new ResumeError(
      `Cannot resume ${label}: none of its checkpoints can be used; remove ${folder} to run it again from its first round:\n` +
        problems.map((problem) => `  ${problem}`).join("\n"),
    );
  }
  if (done > 0) reporter.line(`${label} has no checkpoint: it begins again with its first round`);
  return undefined;
}

/** The same states of clients in memory or on disk, one client at a time. */
async function moveClients(
  clients: ClientStore,
  to: Config["clientState"],
  folder: string,
): Promise<ClientStore> {
  if (to === (clients.files === undefined ? "memory" : "disk")) return clients;
  let moved = to === "disk" ? diskStore(folder) : hostStore();
  for (const id of clients.clients) moved = await moved.save(new Map([[id, (await clients.load(id))!]]));
  return moved;
}

/**
 * Checks that a method's results follow from the same as before.
 *
 * @throws {ResumeError} naming what has changed.
 */
export function checkUnchanged(label: string, before: Identity, now: Identity): void {
  const changes = describeChanges(before, now);
  if (changes.length === 0) return;
  throw new ResumeError(
    `Cannot resume ${label}: what its results follow from has changed; restore it, or start a new run with federa run:\n` +
      changes.map((change) => `  ${change}`).join("\n"),
  );
}
