import type { Writable } from "node:stream";
import { Presets, SingleBar } from "cli-progress";
import { printable, printableLines } from "../../data/text/printable.ts";
import { cut } from "../../experiment/text/cut.ts";
import { describeTimeLeft, TimeLeft } from "./time_left.ts";
import { megabytes } from "../../experiment/text/megabytes.ts";
import type { ProgressDetails, Reporter } from "../../experiment/report/reporter.ts";

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
