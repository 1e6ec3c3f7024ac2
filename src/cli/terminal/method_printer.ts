import { methodLabel } from "../../experiment/config/config.ts";
import type { Reporter } from "../../experiment/report/reporter.ts";
import type { Experiment } from "../../experiment/run/experiment.ts";
import type { RunPlace } from "../../experiment/run/run_experiment.ts";
import type { RoundingError } from "../../federa/mod.ts";
import type { MethodEvent } from "../../experiment/run/record_run.ts";
import type { MethodSummary } from "../../experiment/run/summary.ts";
import { megabytes } from "../../experiment/text/megabytes.ts";
import { describeScores } from "../../experiment/text/score_title.ts";
import type { ClientScores, MemoryPlan, RoundReport } from "../../fl/mod.ts";
import { MethodProgress } from "./method_progress.ts";

/**
 * A callback that prints what a method does: what it trains, a line for each round, its progress in between, and what was
 * tuned in the end.
 */
export function printMethod(
  { config, tuning, draw, seed }: Pick<Experiment, "draw" | "seed"> & {
    readonly config: Pick<Experiment["config"], "methods" | "rounds" | "evaluateOn">;
    readonly tuning?: Experiment["tuning"];
  },
  { method, number, total }: RunPlace,
  reporter: Reporter,
): (event: MethodEvent) => void {
  const isReplicated = total > config.methods.length;
  const label = methodLabel(method);
  const short = isReplicated ? `${label} ${number}/${total}` : label;
  const title = isReplicated ? `${describeRun({ label, draw, seed })} (run ${number} of ${total})` : label;
  const { rounds, evaluateOn } = config;
  const progress = new MethodProgress(short, rounds);
  reporter.progress(`${short}: initialization`, 0, 0);
  return (event) => {
    switch (event.type) {
      case "initialized": {
        const { trainableParameters: trained, totalParameters: total, memory } = event;
        const counts = `${trained.toLocaleString("en")} of ${total.toLocaleString("en")}`;
        reporter.line(`\n${title}: ${counts} values trained, learning rate ${method.learningRate}`);
        if (memory) reporter.line(`  ${describeMemory(memory)}`);
        if (event.rounding) reporter.line(`  ${describeRounding(event.rounding)}`);
        break;
      }
      case "resumed":
        reporter.line(`\n${title}: goes on after round ${event.round}`);
        break;
      case "stopped":
        reporter.line(`  stopped after round ${event.round}: ${event.reason}`);
        break;
      case "progress":
        progress.show(event, reporter);
        break;
      case "round": {
        const { clippedValues: clipped } = event.report.measures;
        progress.learn(event.report);
        reporter.line(describeRound(event.report, rounds));
        if (event.report.refused !== undefined) {
          reporter.line(`    the global model stays as it was: ${event.report.refused}`);
        }
        if (clipped) {
          reporter.line(
            `    values that secure aggregation cut off: ${clipped}; widen secureAggregation.clippingRange`,
          );
        }
        break;
      }
      case "client-lost": {
        const { round, lost: { client, phase, reason } } = event;
        reporter.line(`  round ${round}: lost client ${client.id} in its ${phase}: ${reason}`);
        break;
      }
      case "tuned": {
        const { noAnswerThreshold, validation, test } = event;
        reporter.line(
          `  noAnswerThreshold ${noAnswerThreshold.toFixed(3)}, tuned on ${
            tuning!.numExamples
          } questions of the ` +
            `validation part (f1 ${validation.scores["f1"]!.toFixed(3)})`,
        );
        reporter.line(`  with it, on ${evaluateOn}:${describeScores(test.scores)}`);
      }
    }
  };
}

/** A run among replicates, for people. */
export function describeRun({ label, draw, seed }: Pick<MethodSummary, "label" | "draw" | "seed">): string {
  return `${label}, draw ${draw}, seed ${seed}`;
}

function describeMemory({ blockSize, peakBytes, budgetBytes }: MemoryPlan): string {
  const budget = budgetBytes === null ? "" : ` of at most ${megabytes(budgetBytes)}`;
  return `blocks of ${blockSize} clients; a round will take ${megabytes(peakBytes)} MB${budget}`;
}

/** By how much the frozen weights moved when they were rounded, of each kind of layer. */
function describeRounding(errors: readonly RoundingError[]): string {
  const percent = (value: number) => `${(100 * value).toFixed(2)} %`;
  const isTakenOut = errors.some(({ error, plain }) => error !== plain);
  const kinds = errors.map(({ kind, error, plain }) =>
    `${kind} ${percent(error)}${isTakenOut ? ` (${percent(plain)})` : ""}`
  );
  const what = isTakenOut ? "‖W − (Q + s·B₀·A₀)‖/‖W‖ (of W rounded whole)" : "‖W − Q‖/‖W‖";
  return `error of weights stored as ${errors[0]!.precision}, ${what}: ${kinds.join(", ")}`;
}

function describeRound(report: RoundReport, rounds: number): string {
  const { round, trainLoss, test, clients, privacy, seconds, simulatedSeconds, staleness } = report;
  const scores = test
    ? `  loss ${test.loss.toFixed(3)}${describeScores(test.scores)}${describeWorst(clients)}`
    : "";
  const clock = simulatedSeconds === undefined
    ? ""
    : `clock ${simulatedSeconds.toFixed(1)} s, staleness ${staleness?.mean.toFixed(1) ?? "–"}  `;
  const time = Object.values(seconds).reduce((sum, value) => sum + value, 0);
  return `  round ${String(round).padStart(String(rounds).length)}/${rounds}  train loss ${
    trainLoss?.toFixed(3) ?? "–"
  }${scores}  ` +
    clock + `${privacy ? `ε ${privacy.epsilon.toPrecision(3)}  ` : ""}${time.toFixed(1)} s`;
}

/** How the worst clients do by the first score. */
function describeWorst(clients: ClientScores | undefined): string {
  const [first] = Object.entries(clients?.scores ?? {});
  return first === undefined ? "" : `  (worst decile of clients ${first[1].worstDecile.toFixed(3)})`;
}
