import { constants } from "node:os";
import process from "node:process";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Signals that come closer together are one: a terminal sends Ctrl-C to a process, and so may its parent. */
const togetherMilliseconds = 300;

/** Somebody pressed Ctrl-C, or the system asked the process to end. */
export class InterruptedError extends Error {
  override name = "InterruptedError";
  /** The exit code of the process: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, 141 if its output was closed. */
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`Interrupted by ${signal}`);
    this.exitCode = 128 + constants.signals[signal];
  }
}

/** What ends a command early. */
export class Interruption {
  readonly #controller = new AbortController();

  /** Aborted with an {@linkcode InterruptedError}. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the command as if the process had got a signal. */
  raise(signal: NodeJS.Signals): void {
    this.#controller.abort(new InterruptedError(signal));
  }

  /**
   * Lets the first Ctrl-C, SIGTERM or SIGHUP end the command in order. A second one ends the process at once.
   *
   * @param onInterrupt called at the first.
   */
  listen(onInterrupt: () => void): void {
    let first: number | undefined;
    const handler = (signal: NodeJS.Signals) => {
      if (first === undefined) {
        first = Date.now();
        this.raise(signal);
        onInterrupt();
      } else if (Date.now() - first > togetherMilliseconds) {
        for (const each of signals) process.off(each, handler);
        process.kill(process.pid, signal);
      }
    };
    for (const signal of signals) process.on(signal, handler);
  }
}
