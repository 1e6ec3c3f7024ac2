import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import process from "node:process";
import type { Mutate } from "./mutate.ts";
import { Random } from "./random.ts";

/** Options of {@linkcode fuzz}. */
export interface FuzzOptions {
  /** Good files, to start from. */
  readonly corpus: readonly Uint8Array[];
  /** Makes a bad file of a good one. */
  readonly mutate: Mutate;
  /** Names of the errors that a bad file may end in. */
  readonly errors: readonly string[];
  /** How many files, unless FEDERA_FUZZ_RUNS says. 200 by default. */
  readonly runs?: number;
  /** Longest time for one file, in milliseconds; 5000 by default. */
  readonly timeLimit?: number;
}

/** What became of the mutated files. */
export interface FuzzReport {
  readonly runs: number;
  readonly seed: number;
  /** Files that were read all the same. */
  readonly read: number;
  /** Files that ended in an error, by its name. */
  readonly errors: Readonly<Record<string, number>>;
  /** The longest that one file took, in milliseconds. */
  readonly slowest: number;
  /** The most memory that the process has had, in MiB. */
  readonly peakMemory: number;
}

/**
 * Gives mutated files to a reader and checks that each ends in success or in one of the named errors, in time. File i
 * of a seed is always the same; FEDERA_FUZZ_SEED sets the seed (1 by default), FEDERA_FUZZ_RUNS the number of files.
 *
 * @throws {AssertionError} naming seed and run of the file that failed, with its bytes in base64 if they are few.
 */
export async function fuzz(
  name: string,
  read: (bytes: Uint8Array<ArrayBuffer>) => unknown,
  options: FuzzOptions,
): Promise<FuzzReport> {
  const { corpus, mutate, timeLimit = 5000 } = options;
  const runs = numberFrom("FEDERA_FUZZ_RUNS", options.runs ?? 200);
  const seed = numberFrom("FEDERA_FUZZ_SEED", 1);
  const errors: Record<string, number> = {};
  let [numRead, slowest] = [0, 0];
  for (let run = 0; run < runs; run++) {
    const random = new Random(seed * 1_000_003 + run);
    const bytes = mutate(corpus[run % corpus.length]!, random);
    const excerpt = bytes.length > 6000 ? "" : `: ${Buffer.from(bytes).toString("base64")}`;
    const what = `${name}, FEDERA_FUZZ_SEED=${seed}, run ${run}, ${bytes.length} bytes${excerpt}`;
    const start = performance.now();
    try {
      await read(bytes);
      numRead++;
    } catch (error) {
      const kind = error instanceof Error ? error.name : typeof error;
      if (!options.errors.includes(kind)) {
        throw new assert.AssertionError({ message: `${what}: ${show(error)}` });
      }
      errors[kind] = (errors[kind] ?? 0) + 1;
    }
    const time = performance.now() - start;
    assert.ok(time < timeLimit, `${what}: took ${time} ms`);
    slowest = Math.max(slowest, time);
  }
  const peakMemory = Math.round(process.resourceUsage().maxRSS / 1024);
  const report = { runs, seed, read: numRead, errors, slowest: Math.round(slowest), peakMemory };
  if (process.env["FEDERA_FUZZ_RUNS"]) console.log(name, JSON.stringify(report));
  return report;
}

function numberFrom(variable: string, otherwise: number): number {
  const text = process.env[variable];
  if (!text) return otherwise;
  const value = Number(text);
  assert.ok(Number.isSafeInteger(value) && value > 0, `${variable} must be a positive integer, got ${text}`);
  return value;
}

function show(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
