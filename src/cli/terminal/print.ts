import process from "node:process";
import { printableJson, printableLines } from "../../data/text/printable.ts";

/** Prints what a command found on the standard output; control characters are escaped. */
export function print(text: string): void {
  process.stdout.write(`${printableLines(text)}\n`);
}

/**
 * Prints JSON on the standard output, safe for a terminal.
 *
 * @param indent spaces a level; one line by default.
 */
export function printJson(value: unknown, indent?: number): void {
  process.stdout.write(`${printableJson(value, indent)}\n`);
}
