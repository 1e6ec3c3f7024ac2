import type { MethodSummary } from "../../src/experiment/run/summary.ts";

/** A summary of a run that finished with an accuracy, or of one that failed in round 2 where there is none. */
export function methodSummary(
  label: string,
  accuracy: number | undefined,
  { draw = 1, seed = 1, clients = null }: Partial<Pick<MethodSummary, "draw" | "seed" | "clients">> = {},
): MethodSummary {
  const evaluation = (accuracy: number) => ({
    loss: 1 - accuracy,
    scores: { accuracy, macroF1: accuracy - 0.1 },
  });
  return {
    label,
    method: label,
    draw,
    seed,
    ...accuracy === undefined ? { status: "failed", error: "Cannot go on" } : { status: "finished" },
    learningRate: 0.01,
    trainableParameters: 10,
    rounds: accuracy === undefined ? 1 : 2,
    before: evaluation(0.5),
    after: accuracy === undefined ? null : evaluation(accuracy),
    roundsToTarget: accuracy !== undefined && accuracy >= 0.9 ? 2 : null,
    bytesUp: 1_500_000,
    bytesDown: 1_000_000,
    seconds: 5,
    lost: 0,
    clients: accuracy === undefined ? null : clients,
    measures: { aggregationError: 0.25, appliedError: 0.125 },
  };
}
