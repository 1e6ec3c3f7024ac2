import { rm } from "node:fs/promises";
import { join } from "node:path";
import { CorruptFileError, makeFolder, WriteError } from "../../data/mod.ts";
import { FederaError } from "../../engine/mod.ts";
import { roundingErrors } from "../../federa/mod.ts";
import {
  diskStore,
  disposeOwn,
  HistoryWriter,
  type RoundReport,
  type SimulationEvent,
  type SimulationOptions,
} from "../../fl/mod.ts";
import { withParameters } from "../../fl/tensors.ts";
import { disposeTree } from "../../fl/tree.ts";
import type { Evaluation, TaskModel, TaskSet } from "../../tasks/mod.ts";
import { Checkpoints } from "../checkpoint/checkpoints.ts";
import { type Continuation, continueMethod } from "../checkpoint/continue_method.ts";
import type { Identity } from "../checkpoint/identity.ts";
import { HISTORY, readPast } from "../checkpoint/past.ts";
import { type Config, type MethodConfig, methodLabel } from "../config/config.ts";
import { createMethod } from "../config/method_config.ts";
import type { TaskConfig } from "../config/task_config.ts";
import { describeAdapter } from "../gpu/describe_adapter.ts";
import { writeClientModels } from "./client_models.ts";
import type { Experiment } from "./experiment.ts";
import { makeNew } from "./run_folder.ts";
import type { LoadOptions } from "../data/load_data.ts";
import { writeModelFolder } from "../trained/model_folder.ts";
import { type FinishedModel, tuneFinished, withoutTuning } from "./tune_finished.ts";
import { type MethodSummary, type Started, summarize } from "./summary.ts";
import { bestRound, stopReason } from "./stop_early.ts";
import { versions } from "./versions.ts";

/** Name of the folder, in that of its method, with the model of the best round. */
const BEST = "best";

/** What a method does: the events of its simulation, and what was tuned after the last round. */
export type MethodEvent =
  | Exclude<SimulationEvent, { type: "finished" | "initialized" }>
  | Extract<SimulationEvent, { type: "initialized" }> & Pick<Started, "rounding">
  | {
    readonly type: "resumed";
    /** Rounds done before. */
    readonly round: number;
    /** What interrupted it, where that is known. */
    readonly reason?: string;
  }
  | { readonly type: "stopped"; readonly round: number; readonly reason: string }
  | { readonly type: "tuned" } & NonNullable<FinishedModel["tuned"]>;

/** A method's run, wherever its clients are. */
export interface RecordedRun extends
  Pick<
    Experiment,
    "gpu" | "pretrained" | "tuning" | "target" | "draw" | "seed"
  > {
  readonly config:
    & Pick<
      Config,
      | "rounds"
      | "task"
      | "model"
      | "precision"
      | "maxLength"
      | "keepBest"
      | "clientModels"
      | "clientState"
      | "stopEarly"
    >
    & Partial<Pick<Config, "data">>;
  /** What the global model is scored on; undefined where scores are those of the clients. */
  readonly test: TaskSet | undefined;
  /** Where the pretrained model is from, with the commit. */
  readonly source: string;
  /** Clients whose models can be written; undefined where clients keep them elsewhere. */
  readonly numClients: number | undefined;
  /** What its history says of it first, beside versions, adapter and identity. */
  readonly header: object;
  /** Plays it; a state to resume is taken over. */
  play(
    more: Partial<Pick<SimulationOptions, "resume" | "rounds" | "shouldStop" | "store">>,
  ): AsyncGenerator<SimulationEvent>;
}

/** Options of {@linkcode recordRun}. */
export interface RecordRunOptions extends LoadOptions {
  /** Its folder, which is made unless the method is resumed. */
  readonly folder: string;
  /** What its results follow from. */
  readonly identity: Identity;
  /** Goes on from the last checkpoint in the folder, if there is one. */
  readonly resume?: boolean | undefined;
  /** What interrupted it, for its history. */
  readonly reason?: string | undefined;
  /** Called with each event, after it is in the history. */
  readonly onEvent?: ((event: MethodEvent) => void) | undefined;
}

/** A method's summary, and the error that ended it, if one did. */
export interface MethodOutcome {
  readonly summary: MethodSummary;
  readonly error?: unknown;
}

/**
 * Plays a run and leaves `history.jsonl`, a checkpoint of the last two rounds and its trained model in its
 * folder. The history's last record says how it ended: `finished`, `interrupted` or `failed`. Interrupted, it leaves the model of
 * its last whole round. A run that is resumed goes on to the same bits as one that never stopped.
 *
 * @throws {WriteError} when its folder can't be made, or no history begun.
 */
export async function recordRun(
  run: RecordedRun,
  method: MethodConfig,
  options: RecordRunOptions,
): Promise<MethodOutcome> {
  const { folder, identity, reporter, signal, onEvent, resume = false, reason } = options;
  const { gpu, pretrained, config } = run;
  const { clientState } = config;
  const checkpoints = new Checkpoints(folder);
  let past: Continuation | undefined;
  if (resume) {
    const label = methodLabel(method);
    try {
      past = await continueMethod(gpu, { folder, checkpoints, clientState, label, identity, reporter });
      if (past === undefined) await rm(folder, { recursive: true, force: true });
    } catch (error) {
      if (!(error instanceof FederaError)) throw error;
      return { summary: await summarizeUnresumed(run, method, { folder, error }), error };
    }
  }
  if (past === undefined) await makeNew(folder);
  using history = new HistoryWriter(join(folder, HISTORY));
  const reports: RoundReport[] = [...past?.reports ?? []];
  let started = past?.started;
  let after: Evaluation | undefined;
  /** A global model; what no round changes of it lives until the end. */
  let last: TaskModel | undefined;
  /** Whether clients keep parts of the model: then the global one was never trained whole, and is no use to anybody. */
  let isPersonal = false;
  /** Whether the simulation has taken over the state that it goes on from. */
  let isTaken = false;
  const leave = async (model: TaskModel, task: TaskConfig, to = folder) => {
    await writeModelFolder(to, model, {
      pretrained,
      config: { ...config, task, model: { ...config.model, source: run.source } },
    });
  };
  const judged = { ...run, task: pretrained.task };
  const isOver = () => stopReason(reports, judged) !== undefined;
  const take = async (event: SimulationEvent): Promise<void> => {
    signal?.throwIfAborted();
    switch (event.type) {
      case "initialized":
        isPersonal = event.isPersonal;
        last = isPersonal ? undefined : event.model;
        if (isPersonal && config.keepBest) {
          reporter.line("  keepBest keeps nothing here: clients have models of their own");
        }
        if (started === undefined) {
          const { model, ...record } = event;
          const rounding = await roundingErrors(model, { pretrained });
          started = { ...record, ...(rounding.length > 0 && { rounding }) };
          history.append(started);
        }
        onEvent?.({ ...event, ...(started.rounding && { rounding: started.rounding }) });
        break;
      case "client-lost": {
        const { round, lost: { client, phase, reason } } = event;
        history.append({ type: "client-lost", round, client: client.id, phase, reason });
        break;
      }
      case "round":
        if (!isPersonal) last = event.model;
        reports.push(event.report);
        history.append({ type: "round", ...event.report });
        history.sync();
        if (!isPersonal && config.keepBest && bestRound(reports, judged) === event.report) {
          await makeFolder(join(folder, BEST));
          await leave(event.model, config.task, join(folder, BEST));
        }
        await checkpoints.write(event.state, { identity, adapter: describeAdapter(gpu) });
        break;
      case "finished": {
        const stopped = stopReason(reports, judged);
        if (stopped !== undefined && reports.length < config.rounds) {
          const note = { type: "stopped", round: reports.length, reason: stopped } as const;
          history.append(note);
          onEvent?.(note);
        }
        const { model, task, tuned } = isPersonal
          ? { model: event.model, task: withoutTuning(config.task), tuned: undefined }
          : await tuneFinished(run, event.model, { reporter });
        if (tuned !== undefined) {
          history.append({ type: "tuned", ...tuned });
          onEvent?.({ type: "tuned", ...tuned });
        }
        after = tuned?.test;
        if (!isPersonal) await leave(model, task);
        if (isPersonal && run.numClients === undefined) {
          reporter.line("  clients keep part of what they train: their models stay with them");
        } else if (isPersonal || config.clientModels) {
          const clientModels = await writeClientModels(event, {
            numClients: run.numClients ?? 0,
            folder,
            reporter,
            write: (path, own) => leave(own, task, path),
          });
          history.append({ type: "client-models", count: clientModels });
          if (isPersonal) {
            reporter.line(
              `  clients keep part of what they train: their ${clientModels} models are in ${
                join(folder, "clients")
              }`,
            );
          }
        }
        history.append({ type: "finished" });
        await checkpoints.prune(1);
      }
    }
    if (event.type !== "finished" && event.type !== "initialized") onEvent?.(event);
  };
  try {
    if (past === undefined) history.append(header(run, identity));
    if (past !== undefined || reason !== undefined) {
      const note = {
        type: "resumed",
        round: reports.length,
        ...(reason !== undefined && { reason }),
      } as const;
      history.append(note);
      onEvent?.(note);
    }
    const playing = run.play({
      resume: past?.state,
      ...(clientState === "disk" && { store: diskStore(checkpoints.clientFolder) }),
      ...(isOver() && { rounds: reports.length }),
      shouldStop: isOver,
    });
    isTaken = true;
    for await (const event of playing) {
      try {
        await take(event);
      } catch (error) {
        if (signal?.aborted && last !== undefined) {
          await leaveLast(last, method, { ...options, checkpoints, leave, run });
        }
        throw error;
      } finally {
        if (event.type === "finished") disposeOwn(event.model, pretrained);
      }
    }
  } catch (error) {
    const [round, message] = [reports.length, error instanceof Error ? error.message : String(error)];
    const status = signal?.aborted ? "interrupted" : "failed";
    appendLast(history, { type: status, round, ...(status === "failed" && { error: message }) });
    const end = { status, ...(status === "failed" && { error: message }) } as const;
    return { summary: summarize(method, run, { started, reports, ...end }), error };
  } finally {
    if (past !== undefined && !isTaken) disposeTree(past.state.method);
    reporter.endProgress();
  }
  return { summary: summarize(method, run, { started, reports, after }) };
}

interface LeaveOptions extends Pick<RecordRunOptions, "reporter"> {
  readonly checkpoints: Checkpoints;
  readonly run: RecordedRun;
  leave(model: TaskModel, task: TaskConfig): Promise<void>;
}

/** Leaves the model of the last whole round, which the state of the simulation may be past by now. */
async function leaveLast(
  model: TaskModel,
  method: MethodConfig,
  { reporter, checkpoints, run, leave }: LeaveOptions,
): Promise<void> {
  const [round] = await checkpoints.rounds();
  if (round === undefined) return;
  try {
    const { state } = await checkpoints.read(run.gpu, round);
    try {
      await leave(
        withParameters(model, createMethod(method).parameters(state.method)),
        run.config.task,
      );
    } finally {
      disposeTree(state.method);
    }
  } catch (error) {
    if (!(error instanceof FederaError)) throw error;
    reporter.line(`The model of round ${round} isn't left: ${error.message}`);
  }
}

/** The summary of a method that can't be resumed: of the rounds in its history, if that can be read. */
async function summarizeUnresumed(
  run: RecordedRun,
  method: MethodConfig,
  { folder, error }: { readonly folder: string; readonly error: FederaError },
): Promise<MethodSummary> {
  const past = await readPast(folder).catch((unread) => {
    if (!(unread instanceof CorruptFileError)) throw unread;
  });
  const { started, reports = [] } = past ?? {};
  return summarize(method, run, { started, reports, status: "failed", error: error.message });
}

/** Appends how the method ended, unless it ended because nothing can be written. */
function appendLast(history: HistoryWriter, record: Readonly<Record<string, unknown>>): void {
  try {
    history.append(record);
  } catch (error) {
    if (!(error instanceof WriteError)) throw error;
  }
}

function header({ gpu, pretrained: { task: { labels } }, header }: RecordedRun, identity: Identity) {
  return { type: "header", versions: versions(), adapter: gpu.adapter, labels, ...header, identity };
}
