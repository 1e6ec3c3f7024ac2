import type { Writable } from "node:stream";
import { Presets, SingleBar } from "cli-progress";
import { printable, printableLines } from "../data/printable.ts";
import { cut } from "./cut.ts";
import { describeTimeLeft, TimeLeft } from "./time_left.ts";
import type { ModelFileProgress, NpmPackage, NpmPackageProgress } from "../data/mod.ts";

/** What {@linkcode Reporter.progress} may say beside numbers. */
export interface ProgressDetails {
  /** What is counted, such as `steps`; `bytes` are shown as megabytes. */
  readonly unit?: string;
  /** Seconds that are left; by default estimated from the pace of this task. */
  readonly secondsLeft?: number | undefined;
}

/** Tells a person what is going on. */
export interface Reporter {
  /** Prints a line or several, above the progress bar where there is one; what a terminal would obey is escaped. */
  line(text: string): void;
  /**
   * Shows how far a task is, and how long it still takes; the bar of another task gives way.
   *
   * @param total 0 if it isn't known.
   */
  progress(task: string, done: number, total: number, details?: ProgressDetails): void;
  /** Takes the bar away. */
  endProgress(): void;
}

/** A stream that may be a terminal. */
export type ReporterStream = Writable & { readonly isTTY?: boolean };

/** A reporter with progress bars on a terminal; elsewhere with plain lines, one at least every ten seconds of a task. */
export function createReporter(stream: ReporterStream): Reporter {
  return stream.isTTY ? new TerminalReporter(stream) : new PlainReporter(stream);
}

class TerminalReporter implements Reporter {
  readonly #stream: ReporterStream;
  #bar: SingleBar | undefined;
  #task = "";
  #time = new TimeLeft();

  constructor(stream: ReporterStream) {
    this.#stream = stream;
  }

  line(text: string): void {
    this.endProgress();
    this.#stream.write(`${printableLines(text)}\n`);
  }

  progress(task: string, done: number, total: number, details: ProgressDetails = {}): void {
    if (task !== this.#task) {
      this.endProgress();
      this.#task = task;
      this.#bar = new SingleBar({
        format: "  {task} {bar} {percentage}% {left}",
        stream: this.#stream,
        clearOnComplete: true,
        hideCursor: null,
        barsize: 20,
        gracefulExit: false,
      }, Presets.shades_classic);
      this.#bar.start(Math.max(1, total), done, { task: cut(printable(task), 32).padEnd(32), left: "" });
    }
    const seconds = details.secondsLeft ?? this.#time.update(done, total);
    this.#bar?.setTotal(Math.max(1, total));
    this.#bar?.update(done, { left: seconds === undefined ? "" : describeTimeLeft(seconds) });
  }

  endProgress(): void {
    this.#bar?.stop();
    this.#bar = undefined;
    this.#task = "";
    this.#time = new TimeLeft();
  }
}

/** Leaves a second for a busy process. */
const silenceMilliseconds = 9000;

class PlainReporter implements Reporter {
  readonly #stream: ReporterStream;
  #printed = Date.now();
  #task = "";
  #state = "";
  #time = new TimeLeft();
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: ReporterStream) {
    this.#stream = stream;
  }

  line(text: string): void {
    this.#stream.write(`${printableLines(text)}\n`);
    this.#printed = Date.now();
  }

  progress(task: string, done: number, total: number, details: ProgressDetails = {}): void {
    if (task !== this.#task) this.#time = new TimeLeft();
    this.#task = task;
    const seconds = details.secondsLeft ?? this.#time.update(done, total);
    const left = seconds === undefined ? "" : `, ${describeTimeLeft(seconds)}`;
    const amount = total > 0 ? `, ${describeAmount(done, total, details.unit)}` : "";
    this.#state = `${printable(task)}${amount}${left}`;
    this.#timer ??= setInterval(() => this.#printIfDue(), 500).unref();
    this.#printIfDue();
  }

  endProgress(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#task = "";
  }

  #printIfDue(): void {
    if (Date.now() - this.#printed >= silenceMilliseconds) this.line(this.#state);
  }
}

function describeAmount(done: number, total: number, unit: string | undefined): string {
  if (unit === "bytes") return `${megabytes(done)} of ${megabytes(total)} MB`;
  const count = (value: number) => value.toLocaleString("en");
  return `${count(done)} of ${count(total)}${unit === undefined ? "" : ` ${unit}`}`;
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
    reporter.progress("downloading", bytes, size, { unit: "bytes" });
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
    if (total !== undefined) reporter.progress(`downloading ${file}`, bytes, total, { unit: "bytes" });
  };
}

/** Bytes in units of 10⁶, one decimal. */
export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
