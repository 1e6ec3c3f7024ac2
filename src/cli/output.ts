import process from "node:process";
import { describeCause } from "../data/describe_cause.ts";

let onClosed: () => void = () => process.exit();

/**
 * Ends the process when its output can't be written: without a word where nobody reads on, as in `federa methods | head -1`,
 * and with a message where the disk is full.
 */
export function watchOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      // A terminal that was closed answers EIO.
      if (error.code === "EPIPE" || error.code === "EIO") return onClosed();
      console.error(`Cannot write the output: ${describeCause(error)}`);
      process.exit(1);
    });
  }
}

/** Has something else done than ending the process where nobody reads its output any more. */
export function whenOutputCloses(end: () => void): void {
  onClosed = end;
}
