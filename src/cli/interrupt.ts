import process from "node:process";

/** Somebody pressed Ctrl-C. */
export class InterruptedError extends Error {
  override name = "InterruptedError";
}

/**
 * A signal that the first Ctrl-C aborts with an {@linkcode InterruptedError}. The second one ends the process as if nobody
 * listened.
 */
export function interruptSignal(onInterrupt: () => void): AbortSignal {
  const controller = new AbortController();
  process.once("SIGINT", () => {
    controller.abort(new InterruptedError("Interrupted"));
    onInterrupt();
  });
  return controller.signal;
}
