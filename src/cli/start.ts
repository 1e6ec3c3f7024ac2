import process from "node:process";
import { InvalidArgumentError } from "commander";
import { printableLines } from "../data/printable.ts";
import { describeFailure } from "./failure.ts";
import { InterruptedError, interruptSignal } from "./interrupt.ts";
import type { LoadOptions } from "./load_data.ts";
import { createReporter, type ReporterStream } from "./reporter.ts";

/** Does what a command is for, and ends the process on a failure: background work on a closed device would hold it up. */
export async function start(
  work: (options: LoadOptions) => Promise<void>,
  stream: ReporterStream = process.stdout,
): Promise<void> {
  const reporter = createReporter(stream);
  const signal = interruptSignal(() => reporter.line("Stopping; Ctrl-C again ends at once"));
  try {
    await work({ reporter, signal });
  } catch (error) {
    reporter.endProgress();
    if (error instanceof InterruptedError) process.exit(130);
    console.error(printableLines(describeFailure(error)));
    process.exit(1);
  }
}

/** Reads a positive whole number of the command line. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError("Expected a positive whole number");
  return Number(text);
}

/** Reads names with commas between them. */
export function parseNames(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) throw new InvalidArgumentError("Expected names with commas between them");
  return names;
}
