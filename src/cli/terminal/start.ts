import process from "node:process";
import { InvalidArgumentError } from "commander";
import { printableLines } from "../../data/text/printable.ts";
import { describeFailure } from "../../experiment/run/failure.ts";
import { InterruptedError, Interruption } from "./interrupt.ts";
import type { LoadOptions } from "../../experiment/data/load_data.ts";
import { whenOutputCloses } from "./output.ts";
import type { Reporter } from "../../experiment/report/reporter.ts";
import { createReporter, type ReporterStream } from "./reporter.ts";

/** Does what a command is for, and ends the process on a failure: background work on a closed device would hold it up. */
export async function start(
  work: (options: LoadOptions) => Promise<void>,
  stream: ReporterStream = process.stdout,
): Promise<void> {
  const interruption = new Interruption();
  const { signal } = interruption;
  const reporter = interruptible(createReporter(stream), signal);
  interruption.listen(() => reporter.line("Stopping; Ctrl-C again ends at once"));
  whenOutputCloses(() => interruption.raise("SIGPIPE"));
  try {
    await work({ reporter, signal });
    reporter.endProgress();
  } catch (error) {
    reporter.endProgress();
    if (signal.reason instanceof InterruptedError) process.exit(signal.reason.exitCode);
    console.error(printableLines(describeFailure(error)));
    process.exit(1);
  }
}

/** A reporter that ends whatever reports progress once it's to end. */
function interruptible(reporter: Reporter, signal: AbortSignal): Reporter {
  return {
    line: (text) => reporter.line(text),
    progress(...args) {
      signal.throwIfAborted();
      reporter.progress(...args);
    },
    endProgress: () => reporter.endProgress(),
  };
}

/** Reads a positive whole number of the command line. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError("Expected a positive whole number");
  return Number(text);
}

/** Reads which of several processes this is, such as `1/2`. */
export function parseShard(text: string): { readonly number: number; readonly of: number } {
  const [number = 0, of = 0] = /^\d{1,4}\/\d{1,4}$/.test(text) ? text.split("/").map(Number) : [];
  if (number >= 1 && number <= of) return { number, of };
  throw new InvalidArgumentError("Expected the number of this process and of all, such as 1/2");
}

/** Reads a seed of the command line. */
export function parseSeed(text: string): number {
  const seed = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(seed)) {
    throw new InvalidArgumentError("Expected a whole number from 0 to 2^53 - 1");
  }
  return seed;
}

/** Reads a path of the command line: an empty one, as of a variable that isn't set, would be the working directory. */
export function parsePath(text: string): string {
  if (text === "") throw new InvalidArgumentError("Expected a name, got an empty one");
  return text;
}

/** Reads a number of the command line. */
export function parseNumber(text: string): number {
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number)) throw new InvalidArgumentError("Expected a number");
  return number;
}

/** Reads names with commas between them. */
export function parseNames(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) throw new InvalidArgumentError("Expected names with commas between them");
  return names;
}
