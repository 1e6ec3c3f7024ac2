import { disposeAll, type Gpu } from "../../engine/mod.ts";
import type { LoadOptions } from "../data/load_data.ts";
import { ResumeError } from "../checkpoint/continue_method.ts";
import { type Preparation, prepare } from "../run/prepare.ts";
import type { Reporter } from "../report/reporter.ts";
import { describeFailure } from "../run/failure.ts";
import { chooseRate } from "./choose_rate.ts";
import { type Comparison, type Contender, type Setting, tunedIn } from "./comparison.ts";
import type { RecordStore } from "./record_store.ts";
import { contentsOf, runUnit } from "./run_unit.ts";
import type { UnitRecord } from "./unit_record.ts";
import {
  finalPlaces,
  finalUnit,
  type Phase,
  phaseConfig,
  tuningSettings,
  tuningUnits,
  type Unit,
} from "./units.ts";

/** One of several processes that share a comparison, each with methods of its own. */
export interface Shard {
  /** From 1. */
  readonly number: number;
  readonly of: number;
}

/** Options of {@linkcode runComparison}. */
export interface RunComparisonOptions extends LoadOptions {
  /** Where records are kept; units that it has are not run again. */
  readonly store: RecordStore;
  /** All methods by default. */
  readonly shard?: Shard | undefined;
  /** Called with each new record. */
  readonly onRecord?: ((record: UnitRecord) => void) | undefined;
}

/** A unit that failed for another reason than that its numbers were no longer finite; it has no record. */
export interface UnitFailure {
  readonly unit: Unit;
  readonly message: string;
}

/**
 * Runs every unit of a comparison that has no record yet: first those that choose learning rates, then replicate by replicate all
 * methods in all settings, so that a comparison that is stopped early is balanced. Stopped at any moment, it loses the unit that it was
 * at; started again, it goes on.
 *
 * @returns the units that failed, which will be tried again.
 * @throws {ResumeError} when records follow from other contents of model or data than those there are now.
 * @throws the reason of the signal, once it is aborted.
 * @throws as {@linkcode prepare}.
 */
export async function runComparison(
  comparison: Comparison,
  gpu: Gpu,
  options: RunComparisonOptions,
): Promise<UnitFailure[]> {
  const { store, shard = { number: 1, of: 1 }, reporter, signal, onRecord } = options;
  const contenders = comparison.contenders.filter((_, i) => i % shard.of === shard.number - 1);
  const failures: UnitFailure[] = [];
  using bench = new Bench(comparison, gpu, options);
  const progress = new Progress(comparison, contenders, store);
  const run = async (unit: Unit): Promise<void> => {
    if (store.get(unit.key) !== undefined) return;
    const preparation = await bench.open(unit.setting, unit.phase);
    const title = `${unit.contender.label}, ${unit.setting.label}`;
    const report = () => {
      signal?.throwIfAborted();
      const { done, total, secondsLeft } = progress.now();
      reporter.progress(title, done, total, { unit: "units", secondsLeft });
    };
    try {
      report();
      const record = await runUnit(preparation, unit, { signal, onProgress: report });
      await store.add(record);
      progress.took(record.seconds);
      reporter.endProgress();
      onRecord?.(record);
    } catch (error) {
      signal?.throwIfAborted();
      if (!isOfUnit(error)) throw error;
      reporter.endProgress();
      const message = describeFailure(error);
      failures.push({ unit, message });
      progress.skip();
      reporter.line(`${title} failed: ${message}`);
    }
  };
  for (const setting of tuningSettings(comparison)) {
    for (const contender of contenders) {
      for (const unit of tuningUnits(comparison, contender, setting)) await run(unit);
    }
  }
  for (const { setting, replicate } of finalPlaces(comparison)) {
    for (const contender of contenders) {
      if (contender.draws?.includes(replicate.draw) === false) continue;
      const learningRate = rateOf(comparison, { contender, setting, store });
      if (learningRate === undefined) progress.skip();
      else await run(finalUnit({ contender, setting, ...replicate, learningRate }));
    }
  }
  return failures;
}

/** What {@linkcode rateOf} looks for. */
export interface RatePlace {
  readonly contender: Contender;
  readonly setting: Setting;
  readonly store: Pick<RecordStore, "get">;
}

/** The rate that a method was tuned to for a setting; undefined until all its rates were tried, and where all diverged. */
export function rateOf(comparison: Comparison, { contender, setting, store }: RatePlace): number | undefined {
  if (contender.learningRates.length === 1) return contender.learningRates[0];
  const records = tuningRecords(comparison, { contender, setting, store });
  return records && chooseRate(records, comparison.tuning)?.learningRate;
}

/** The records of the runs that a method was tuned by for a setting; undefined until all are there. */
export function tuningRecords(
  comparison: Comparison,
  { contender, setting, store }: RatePlace,
): UnitRecord[] | undefined {
  const tuned = comparison.settings.find(({ label }) => label === tunedIn(comparison, setting))!;
  const units = tuningUnits(comparison, contender, tuned);
  const records = units.flatMap(({ key }) => store.get(key) ?? []);
  return records.length === units.length ? records : undefined;
}

/** Whether an error is of this unit, and not of all. */
function isOfUnit(error: unknown): boolean {
  return error instanceof Error && ["OutOfMemoryError", "RangeError", "TypeError"].includes(error.name);
}

function withoutLines(reporter: Reporter): Reporter {
  return {
    line() {},
    progress: (...args) => reporter.progress(...args),
    endProgress: () => reporter.endProgress(),
  };
}

/** What is open for the phase and the setting whose turn it is. */
class Bench {
  readonly #comparison: Comparison;
  readonly #gpu: Gpu;
  readonly #options: RunComparisonOptions;
  #place = "";
  #preparation: Preparation | undefined;

  constructor(comparison: Comparison, gpu: Gpu, options: RunComparisonOptions) {
    this.#comparison = comparison;
    this.#gpu = gpu;
    this.#options = options;
  }

  async open(setting: Setting, phase: Phase): Promise<Preparation> {
    const place = `${phase} ${setting.label}`;
    if (this.#preparation !== undefined && this.#place === place) return this.#preparation;
    this[Symbol.dispose]();
    const { reporter } = this.#options;
    // Data and model are the same each time: they are described once.
    const once = this.#place === "" ? reporter : withoutLines(reporter);
    const config = phaseConfig(setting, phase, this.#comparison);
    const preparation = await prepare(config, this.#gpu, { ...this.#options, reporter: once });
    this.#preparation = preparation;
    this.#place = place;
    await checkContents(preparation, { setting, phase, ...this.#options });
    return preparation;
  }

  [Symbol.dispose](): void {
    const encoder = this.#preparation?.model.encoder;
    if (encoder) disposeAll([...encoder.namedParameters()].map(([, parameter]) => parameter));
    this.#preparation = undefined;
  }
}

/** @throws {ResumeError} when records of a setting follow from other contents than those that are open. */
async function checkContents(
  preparation: Preparation,
  { setting, phase, store }: {
    readonly setting: Setting;
    readonly phase: Phase;
    readonly store: RecordStore;
  },
): Promise<void> {
  const what = {
    trainHash: "the examples to train on, or which client holds which",
    testHash: "the examples to evaluate on",
    baseHash: "the weights of the pretrained model",
  } as const;
  const known = new Map<number, UnitRecord["contents"]>();
  for (const record of store.all) {
    if (record.setting !== setting.label || record.phase !== phase || !preparation.draws.has(record.draw)) {
      continue;
    }
    const now = known.get(record.draw) ?? await contentsOf(preparation, record);
    known.set(record.draw, now);
    for (const part of ["trainHash", "testHash", "baseHash"] as const) {
      if (record.contents[part] === now[part]) continue;
      throw new ResumeError(
        `Cannot go on with this comparison: ${
          what[part]
        } of setting "${setting.label}" are others than those of its records; ` +
          "restore them, or give another folder",
      );
    }
  }
}

/** How many units are done and left, and for how long. */
class Progress {
  #done: number;
  readonly #total: number;
  #seconds: number[] = [];
  #began = performance.now();

  constructor(comparison: Comparison, contenders: readonly Contender[], store: RecordStore) {
    const tuning = tuningSettings(comparison).flatMap((setting) =>
      contenders.flatMap((contender) => tuningUnits(comparison, contender, setting))
    );
    const places = finalPlaces(comparison).flatMap((place) =>
      contenders.filter(({ draws }) => draws?.includes(place.replicate.draw) ?? true)
        .map((contender) => ({ contender, ...place }))
    );
    this.#total = tuning.length + places.length;
    this.#done = tuning.filter(({ key }) => store.get(key)).length +
      places.filter(({ contender, setting, replicate }) => {
        const learningRate = rateOf(comparison, { contender, setting, store });
        return learningRate !== undefined &&
          store.get(finalUnit({ contender, setting, ...replicate, learningRate }).key);
      }).length;
  }

  took(seconds: number): void {
    this.#seconds.push(seconds);
    this.skip();
  }

  skip(): void {
    this.#done++;
    this.#began = performance.now();
  }

  now(): { readonly done: number; readonly total: number; readonly secondsLeft: number | undefined } {
    const [done, total] = [this.#done, this.#total];
    const count = this.#seconds.length;
    if (count === 0) return { done, total, secondsLeft: undefined };
    const mean = this.#seconds.reduce((sum, each) => sum + each, 0) / count;
    const spent = Math.min(mean, (performance.now() - this.#began) / 1000);
    return { done, total, secondsLeft: (total - done) * mean - spent };
  }
}
