import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { WriteError } from "../../data/mod.ts";
import { describeCause } from "../../data/files/describe_cause.ts";
import { disposeOwn, HistoryWriter, type RoundReport, type SimulationEvent } from "../../fl/mod.ts";
import type { Evaluation } from "../../tasks/mod.ts";
import { type MethodConfig, methodLabel } from "../config/config.ts";
import { type Experiment, simulateMethod } from "./experiment.ts";
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
  /** The folder of the run. */
  readonly folder: string;
  /** Called with each event, after it is in the history. */
  readonly onEvent?: ((event: MethodEvent) => void) | undefined;
}

/** A method's summary, and the error that ended it where one did. */
export interface MethodOutcome {
  readonly summary: MethodSummary;
  readonly error?: unknown;
}

/**
 * Runs one method of an experiment and leaves `history.jsonl` and its trained model in a folder of its own. The history's
 * last record says how it ended: `finished`, `interrupted` or `failed`.
 *
 * @throws {WriteError} when its folder can't be made, or no history begun.
 */
export async function runMethod(
  experiment: Experiment,
  method: MethodConfig,
  { folder, reporter, signal, onEvent }: RunMethodOptions,
): Promise<MethodOutcome> {
  const label = methodLabel(method);
  const own = join(folder, label);
  await makeNew(own);
  using history = new HistoryWriter(join(own, "history.jsonl"));
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
          await writeModelFolder(own, model, {
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
    return { summary: summarize(method, experiment.target, { started, reports, ...end }), error };
  } finally {
    reporter.endProgress();
  }
  return { summary: summarize(method, experiment.target, { started, reports, after }) };
}

/** Appends how it ended, unless what ended it was that nothing can be written. */
function appendLast(history: HistoryWriter, record: Readonly<Record<string, unknown>>): void {
  try {
    history.append(record);
  } catch (error) {
    if (!(error instanceof WriteError)) throw error;
  }
}

/** Makes a folder that isn't there yet, in one that is. */
async function makeNew(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (cause) {
    throw new WriteError(`Cannot make folder ${folder}: ${describeCause(cause)}`, { cause });
  }
}

function header(
  { config, gpu, pretrained: { task: { labels } }, train, test, clients }: Experiment,
  method: MethodConfig,
) {
  return {
    type: "header",
    versions: versions(),
    adapter: gpu.adapter,
    config,
    method,
    seed: config.seed,
    labels,
    numTrain: train.numExamples,
    numTest: test.numExamples,
    clientSizes: clients.map(({ length }) => length),
  };
}

/** The configuration of the model with its source made exact. */
function describeModel({ config, model: { source } }: Experiment) {
  return { ...config.model, source };
}
