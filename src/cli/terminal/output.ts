import process from "node:process";
import { describeCause } from "../../data/files/describe_cause.ts";

let onClosed: () => void = () => process.exit();

/**
 * Ends the process when its output can't be written: silently if the reader is gone, as in `federa methods | head -1`,
 * and with a message if the disk is full.
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

/** Calls a function, instead of ending the process, when its output is closed. */
export function whenOutputCloses(end: () => void): void {
  onClosed = end;
}
