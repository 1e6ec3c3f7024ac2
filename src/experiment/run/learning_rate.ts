import { constantSchedule, cosineSchedule, linearSchedule, type Schedule } from "../../engine/mod.ts";
import type { Config } from "../config/config.ts";

/** The learning rate of each round, by its index from 0. A warm-up starts above 0, so that no round is wasted. */
export function roundSchedule(
  peak: number,
  { schedule, rounds }: Pick<Config, "schedule" | "rounds">,
): Schedule {
  if (schedule.kind === "constant") return constantSchedule(peak);
  const { warmupRounds, finalShare } = schedule;
  const shape = schedule.kind === "linear" ? linearSchedule : cosineSchedule;
  const shift = warmupRounds > 0 ? 1 : 0;
  const rate = shape(peak, rounds + shift, {
    warmupSteps: warmupRounds + shift,
    finalRate: finalShare * peak,
  });
  return (round) => rate(round + shift);
}
