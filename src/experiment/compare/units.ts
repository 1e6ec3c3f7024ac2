import { contentHash } from "../checkpoint/content_hash.ts";
import { arithmetic } from "../checkpoint/identity.ts";
import type { Config, MethodConfig } from "../config/config.ts";
import { type Replicate, replicatesOf } from "../run/replicate.ts";
import { type Comparison, type Contender, type Setting, tunedIn } from "./comparison.ts";

/** Why a unit is run: to choose a learning rate on validation, or for the comparison on test. */
export type Phase = "tuning" | "final";

/** One run of one method in a setting, by one draw, seed and learning rate. */
export interface Unit extends Replicate {
  readonly phase: Phase;
  readonly contender: Contender;
  readonly setting: Setting;
  readonly learningRate: number;
  /** With its rate. */
  readonly method: MethodConfig;
  /** Hash of everything in the configuration that the result follows from; names and places don't count. */
  readonly key: string;
}

/**
 * The configuration of a setting in one phase. Tuning is scored on validation, once, at the end.
 */
export function phaseConfig({ config }: Setting, phase: Phase, { tuning }: Comparison): Config {
  if (phase === "final") return config;
  const { draw, seed } = tuning;
  return {
    ...config,
    draws: [draw],
    seeds: [seed],
    evaluateOn: "validation",
    evaluateEvery: 0,
    measures: [],
  };
}

/** The runs that choose a method's learning rate in a setting; none where there is nothing to choose. */
export function tuningUnits(comparison: Comparison, contender: Contender, setting: Setting): Unit[] {
  const { learningRates } = contender;
  if (learningRates.length === 1) return [];
  const { draw, seed } = comparison.tuning;
  return learningRates.map((learningRate) =>
    unitOf({ phase: "tuning", contender, setting, draw, seed, learningRate })
  );
}

/** The run of a method in a setting and a replicate, at the rate that was chosen. */
export function finalUnit(
  given: Pick<Unit, "contender" | "setting" | "draw" | "seed" | "learningRate">,
): Unit {
  return unitOf({ phase: "final", ...given });
}

/** The settings in which rates are chosen. */
export function tuningSettings(comparison: Comparison): Setting[] {
  const { settings } = comparison;
  const chosen = new Set(settings.map((setting) => tunedIn(comparison, setting)));
  return settings.filter(({ label }) => chosen.has(label));
}

/** The places of the comparison, one after the other: all settings of a replicate before the next replicate. */
export function finalPlaces(
  { settings }: Comparison,
): { readonly setting: Setting; readonly replicate: Replicate }[] {
  return replicatesOf(settings[0]!.config).flatMap((replicate) =>
    settings.map((setting) => ({ setting, replicate }))
  );
}

/** Every unit that a comparison may have, with each of its learning rates. */
export function plannedUnits(comparison: Comparison): Unit[] {
  const { contenders } = comparison;
  return [
    ...tuningSettings(comparison).flatMap((setting) =>
      contenders.flatMap((contender) => tuningUnits(comparison, contender, setting))
    ),
    ...finalPlaces(comparison).flatMap(({ setting, replicate }) =>
      contenders.flatMap((contender) =>
        contender.draws?.includes(replicate.draw) === false
          ? []
          : contender.learningRates.map((learningRate) =>
            finalUnit({ contender, setting, ...replicate, learningRate })
          )
      )
    ),
  ];
}

function unitOf(given: Omit<Unit, "method" | "key">): Unit {
  const method = { ...given.contender.method, learningRate: given.learningRate };
  return { ...given, method, key: keyOf(given) };
}

/** What of a configuration changes no result, or is counted by its content, or elsewhere in a key. */
const indecisive = new Set([
  "name",
  "output",
  "blockSize",
  "cohortSize",
  "maxGpuBytes",
  "checkpointing",
  "clientState",
  "clientModels",
  "keepBest",
  "maxDeviceLosses",
  "draws",
  "seeds",
]);

/**
 * The hash is of the configuration as it was written: an option that a later version adds, with a default that changes nothing,
 * changes no key.
 */
function keyOf(
  { phase, contender, setting, draw, seed, learningRate }: Omit<Unit, "method" | "key">,
): string {
  const { model, data, target, ...written } = setting.written;
  const config = Object.fromEntries(Object.entries(written).filter(([name]) => !indecisive.has(name)));
  return contentHash({
    arithmetic,
    phase,
    ...config,
    // Which examples are sampled and held out.
    splitSeed: setting.written["seed"],
    model: contentOf(model),
    data: contentOf(data),
    // Without early stopping a target is only read off.
    ...("stopEarly" in config && { target }),
    ...(phase === "tuning" && { evaluateEvery: undefined, measures: undefined }),
    method: contender.written,
    clientScores: contender.clientScores,
    learningRate,
    draw,
    seed,
  });
}

/** A model or data without where they lie: what they hold is in the records. */
function contentOf(written: unknown): unknown {
  if (typeof written !== "object" || written === null) return undefined;
  return { ...written, source: undefined, train: undefined, test: "test" in written };
}
