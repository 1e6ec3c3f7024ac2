import { join } from "node:path";
import { WriteError } from "../../data/mod.ts";
import { disposeOwn, HistoryWriter, type RoundReport, type SimulationEvent } from "../../fl/mod.ts";
import type { Evaluation } from "../../tasks/mod.ts";
import type { MethodConfig } from "../config/config.ts";
import { type Experiment, simulateMethod } from "./experiment.ts";
import { makeNew } from "./run_folder.ts";
import type { LoadOptions } from "../data/load_data.ts";
import { writeModelFolder } from "../trained/model_folder.ts";
import { type FinishedModel, tuneFinished } from "./tune_finished.ts";
import { type MethodSummary, summarize } from "./summary.ts";
import { versions } from "./versions.ts";

/** What a method does: the events of its simulation, and what was tuned after the last round. */
export type MethodEvent =
  | Exclude<SimulationEvent, { type: "finished" }>
  | { readonly type: "tuned" } & NonNullable<FinishedModel["tuned"]>;

/** Options of {@linkcode runMethod}. */
export interface RunMethodOptions extends LoadOptions {
  /** The folder to make for it. */
  readonly folder: string;
  /** Called with each event, after it is in the history. */
  readonly onEvent?: ((event: MethodEvent) => void) | undefined;
}

/** A method's summary, and the error that ended it, if one did. */
export interface MethodOutcome {
  readonly summary: MethodSummary;
  readonly error?: unknown;
}

/**
 * Runs one method of an experiment and leaves `history.jsonl` and its trained model in its folder. The history's
 * last record says how it ended: `finished`, `interrupted` or `failed`.
 *
 * @throws {WriteError} when its folder can't be made, or no history begun.
 */
export async function runMethod(
  experiment: Experiment,
  method: MethodConfig,
  { folder, reporter, signal, onEvent }: RunMethodOptions,
): Promise<MethodOutcome> {
  await makeNew(folder);
  using history = new HistoryWriter(join(folder, "history.jsonl"));
  history.append(header(experiment, method));
  const reports: RoundReport[] = [];
  let after: Evaluation | undefined;
  let started: Extract<SimulationEvent, { type: "initialized" }> | undefined;
  try {
    for await (const event of simulateMethod(experiment, method)) {
      signal?.throwIfAborted();
      switch (event.type) {
        case "initialized":
          started = event;
          history.append({ ...event });
          break;
        case "client-lost":
          history.append({ ...event });
          break;
        case "round":
          reports.push(event.report);
          history.append({ type: "round", ...event.report });
          break;
        case "finished": {
          const { model, task, tuned } = await tuneFinished(experiment, event.model, { reporter });
          if (tuned !== undefined) {
            history.append({ type: "tuned", ...tuned });
            onEvent?.({ type: "tuned", ...tuned });
          }
          after = tuned?.test;
          await writeModelFolder(folder, model, {
            pretrained: experiment.pretrained,
            config: { ...experiment.config, task, model: describeModel(experiment) },
          });
          disposeOwn(event.model, experiment.pretrained);
          history.append({ type: "finished" });
        }
      }
      if (event.type !== "finished") onEvent?.(event);
    }
  } catch (error) {
    const [round, message] = [reports.length, error instanceof Error ? error.message : String(error)];
    const status = signal?.aborted ? "interrupted" : "failed";
    appendLast(history, { type: status, round, ...(status === "failed" && { error: message }) });
    const end = { status, ...(status === "failed" && { error: message }) } as const;
    return { summary: summarize(method, experiment, { started, reports, ...end }), error };
  } finally {
    reporter.endProgress();
  }
  return { summary: summarize(method, experiment, { started, reports, after }) };
}

/** Appends how the method ended, unless it ended because nothing can be written. */
function appendLast(history: HistoryWriter, record: Readonly<Record<string, unknown>>): void {
  try {
    history.append(record);
  } catch (error) {
    if (!(error instanceof WriteError)) throw error;
  }
}

function header(
  { config, gpu, pretrained: { task: { labels } }, train, test, clients, draw, seed }: Experiment,
  method: MethodConfig,
) {
  return {
    type: "header",
    versions: versions(),
    adapter: gpu.adapter,
    config,
    method,
    draw,
    seed,
    labels,
    numTrain: train.numExamples,
    numTest: test.numExamples,
    clientSizes: clients.map(({ length }) => length),
  };
}

/** The configuration of the model with its exact source, including the commit. */
function describeModel({ config, model: { source } }: Experiment) {
  return { ...config.model, source };
}
