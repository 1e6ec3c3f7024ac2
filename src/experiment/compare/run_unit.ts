import process from "node:process";
import { NonFiniteError } from "../../engine/mod.ts";
import { disposeOwn } from "../../fl/mod.ts";
import { describeAdapter } from "../gpu/describe_adapter.ts";
import { contentHash } from "../checkpoint/content_hash.ts";
import { identityOf } from "../checkpoint/identity.ts";
import { openExperiment, simulateMethod } from "../run/experiment.ts";
import type { Preparation } from "../run/prepare.ts";
import type { Replicate } from "../run/replicate.ts";
import { versions } from "../run/versions.ts";
import { placeOf, type RoundRecord, type UnitRecord } from "./unit_record.ts";
import type { Unit } from "./units.ts";

/** Options of {@linkcode runUnit}. */
export interface RunUnitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called again and again while it runs. */
  readonly onProgress?: (() => void) | undefined;
}

/**
 * Runs a unit.
 *
 * @returns its record; where its numbers are no longer finite, with the rounds until then.
 * @throws what ends a run otherwise, and the reason of the signal once it is aborted.
 */
export async function runUnit(
  preparation: Preparation,
  unit: Unit,
  { signal, onProgress }: RunUnitOptions = {},
): Promise<UnitRecord> {
  const began = performance.now();
  const cpuBefore = process.cpuUsage();
  using opened = openExperiment(preparation, unit);
  const experiment = unit.contender.clientScores ? opened : { ...opened, testClients: undefined };
  const contents = await contentsOf(preparation, unit);
  const rounds: RoundRecord[] = [];
  const started = { trainableParameters: null, totalParameters: null, isPersonal: false, before: null };
  let first: Pick<UnitRecord, keyof typeof started> = started;
  let diverged: string | undefined;
  try {
    for await (const event of simulateMethod(experiment, unit.method)) {
      if (event.type === "finished") disposeOwn(event.model, opened.pretrained);
      signal?.throwIfAborted();
      onProgress?.();
      if (event.type === "initialized") {
        const { trainableParameters, totalParameters, isPersonal, test } = event;
        first = { trainableParameters, totalParameters, isPersonal, before: test };
      } else if (event.type === "round") {
        const { round, trainLoss, test, clients, bytesUp, bytesDown, measures, lost } = event.report;
        rounds.push({
          round,
          trainLoss,
          test,
          ...(clients && { clients }),
          bytesUp,
          bytesDown,
          measures,
          ...(lost.length > 0 && { lost }),
        });
      }
    }
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    diverged = error.message;
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    ...placeOf(unit),
    contents,
    metric: preparation.task.metrics[0]!,
    ...first,
    rounds,
    ...(diverged !== undefined && { diverged }),
    seconds: (performance.now() - began) / 1000,
    cpuSeconds: (user + system) / 1e6,
    adapter: describeAdapter(preparation.gpu),
    federa: versions().federa,
  };
}

/** Hashes of what a unit of a replicate learns from, is scored on, and starts from. */
export async function contentsOf(
  preparation: Preparation,
  replicate: Replicate,
): Promise<UnitRecord["contents"]> {
  const { draws, config } = preparation;
  const { trainHash, baseHash } = await identityOf(preparation, config.methods[0]!, replicate);
  return { trainHash, testHash: contentHash(draws.get(replicate.draw)!.test), baseHash };
}
