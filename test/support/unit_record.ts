import type { UnitRecord } from "../../src/experiment/compare/unit_record.ts";

/** What is known of a round of {@linkcode unitRecord}. */
export interface GivenRound {
  /** Undefined in a round without evaluation. */
  readonly accuracy?: number;
  readonly loss?: number;
  readonly bytes?: number;
}

/** A record of a unit with some rounds; null of one that diverged in its first. */
export function unitRecord(given: Partial<UnitRecord>, rounds: readonly GivenRound[] | null): UnitRecord {
  return {
    key: "key",
    phase: "final",
    label: "fedit",
    setting: "even",
    draw: 1,
    seed: 1,
    learningRate: 0.1,
    contents: { trainHash: "train", testHash: "test", baseHash: "base" },
    metric: "accuracy",
    trainableParameters: 10,
    totalParameters: 100,
    isPersonal: false,
    before: null,
    rounds: (rounds ?? []).map(({ accuracy, loss = 1, bytes = 2 }, i) => ({
      round: i + 1,
      trainLoss: 1,
      test: accuracy === undefined ? null : { loss, scores: { accuracy } },
      bytesUp: bytes / 2,
      bytesDown: bytes / 2,
      measures: { aggregationError: i },
    })),
    ...rounds === null && { diverged: "Cannot go on" },
    seconds: 1,
    cpuSeconds: 1,
    adapter: "none",
    federa: "0",
    ...given,
  };
}
