import type { Writable } from "node:stream";
import { Presets, SingleBar } from "cli-progress";
import { printable, printableLines } from "../data/printable.ts";
import type { ModelFileProgress, NpmPackage, NpmPackageProgress } from "../data/mod.ts";

/** Tells a person what is going on. */
export interface Reporter {
  /** Prints a line or several, above the progress bar where there is one; what a terminal would obey is escaped. */
  line(text: string): void;
  /** Shows how far a task is; the bar of another task gives way. */
  progress(task: string, done: number, total: number): void;
  /** Takes the bar away. */
  endProgress(): void;
}

/** A stream that may be a terminal. */
export type ReporterStream = Writable & { readonly isTTY?: boolean };

/** A reporter with progress bars on a terminal, and with plain lines alone elsewhere. */
export function createReporter(stream: ReporterStream): Reporter {
  return stream.isTTY ? new TerminalReporter(stream) : {
    line: (text) => stream.write(`${printableLines(text)}\n`),
    progress: () => {},
    endProgress: () => {},
  };
}

class TerminalReporter implements Reporter {
  readonly #stream: ReporterStream;
  #bar: SingleBar | undefined;
  #task = "";

  constructor(stream: ReporterStream) {
    this.#stream = stream;
  }

  line(text: string): void {
    this.endProgress();
    this.#stream.write(`${printableLines(text)}\n`);
  }

  progress(task: string, done: number, total: number): void {
    if (task !== this.#task) {
      this.endProgress();
      this.#task = task;
      this.#bar = new SingleBar({
        format: "  {task} {bar} {percentage}%",
        stream: this.#stream,
        clearOnComplete: true,
        hideCursor: null,
        barsize: 30,
        gracefulExit: false,
      }, Presets.shades_classic);
      this.#bar.start(total, done, { task: printable(task).padEnd(32) });
    } else {
      this.#bar?.setTotal(total);
      this.#bar?.update(done);
    }
  }

  endProgress(): void {
    this.#bar?.stop();
    this.#bar = undefined;
    this.#task = "";
  }
}

/** A callback that shows the download of a package with its size and licence; it says nothing of one in the cache. */
export function showDownload(
  reporter: Reporter,
  { size }: NpmPackage,
  description: string,
): (progress: NpmPackageProgress) => void {
  let started = false;
  return ({ phase, bytes }) => {
    if (phase === "ready") return reporter.endProgress();
    if (!started) reporter.line(`Downloading ${description}, ${megabytes(size)} MB`);
    started = true;
    reporter.progress("downloading", bytes, size);
  };
}

/** A callback that shows the downloads of a model's files. */
export function showModelFiles(reporter: Reporter): (progress: ModelFileProgress) => void {
  let current: string | undefined;
  return ({ file, phase, bytes, total }) => {
    if (phase === "ready") return reporter.endProgress();
    if (file !== current) {
      current = file;
      reporter.line(`Downloading ${file}${total === undefined ? "" : `, ${megabytes(total)} MB`}`);
    }
    if (total !== undefined) reporter.progress(`downloading ${file}`, bytes, total);
  };
}

/** Bytes in units of 10⁶, one decimal. */
export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
