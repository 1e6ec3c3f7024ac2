import type { UnitRecord } from "../../src/experiment/compare/unit_record.ts";

/** What a simulated client is; all are alike. */
export interface ClientSpeed {
  /** Bits a second. */
  readonly up: number;
  readonly down: number;
  /** Floating-point operations a second. */
  readonly flops: number;
}

/** A laptop's line, and an embedded accelerator at a tenth of what such are sold with. */
export const clientSpeed: ClientSpeed = { up: 10e6, down: 50e6, flops: 1e12 };

/** Sizes of the job, see `snips.json`. */
export interface JobSize {
  readonly clientsPerRound: number;
  /** Steps × batch size × tokens of a text. */
  readonly tokensPerRound: number;
  /** Values in the linear layers of the encoder. */
  readonly linearWeights: number;
  /** Of these, in the lowest layer with something trained and those above it. */
  readonly weightsPassedBack: number;
}

/**
 * Floating-point operations of a client's round: 2 a weight and token forward, 2 on the way back down to the lowest layer that is trained,
 * and 2 for the gradient of each value that is trained; attention scores, norms and the optimiser are left out.
 */
export function roundFlops(
  { tokensPerRound, linearWeights, weightsPassedBack }: JobSize,
  trained: number,
): number {
  return 2 * tokensPerRound *
    (linearWeights + weightsPassedBack + Math.min(trained, linearWeights));
}

/**
 * Simulated seconds until a unit's evaluation first reaches a score; null if none does. A round takes as long as one client: its
 * download, its steps and its upload, one after the other. The server's part is left out.
 */
export function secondsToScore(
  record: Pick<UnitRecord, "rounds" | "metric">,
  { score, flops, clientsPerRound, speed = clientSpeed }: {
    readonly score: number;
    /** Of a client's round. */
    readonly flops: number;
    readonly clientsPerRound: number;
    readonly speed?: ClientSpeed;
  },
): number | null {
  let seconds = 0;
  for (const { bytesUp, bytesDown, test } of record.rounds) {
    const sent = 8 * bytesUp / clientsPerRound / speed.up +
      8 * bytesDown / clientsPerRound / speed.down;
    seconds += sent + flops / speed.flops;
    if ((test?.scores[record.metric] ?? -Infinity) >= score) return seconds;
  }
  return null;
}
