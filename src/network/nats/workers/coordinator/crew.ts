import type { z } from "zod";
import { WorkersError } from "../errors.ts";
import type { helloSchema, WorkerKind } from "../messages.ts";

/** After how many seconds without a sign a worker counts as gone. */
const goneSeconds = 15;

/** Options of a {@linkcode Crew}. */
export interface CrewOptions {
  readonly queue: string;
  /** What the bits of the run follow from: workers of another kind are refused. */
  readonly kind: WorkerKind;
  /** How many seconds to wait for a worker while none is there; 600 by default. */
  readonly waitSeconds?: number | undefined;
  /** Receives a line about workers that come, go, or are refused. */
  readonly report?: ((line: string) => void) | undefined;
}

/** The workers of a run: who is there, and who was refused or sent away. */
export class Crew {
  readonly #options: CrewOptions;
  /** Those that are there, and when each was last heard of. */
  readonly #seen = new Map<string, number>();
  /** Those that were sent away, and why. */
  readonly #banned = new Map<string, string>();
  readonly #refused = new Set<string>();
  /** Since when nobody has been there, and when that was last looked at. */
  #alone: number | undefined;
  #looked = performance.now();

  constructor(options: CrewOptions) {
    this.#options = options;
  }

  /** Names of those that are there. */
  get workers(): string[] {
    return [...this.#seen.keys()];
  }

  /** Lets a worker in, or says why not. */
  admit(hello: z.output<typeof helloSchema> | undefined): string | undefined {
    const { federa, arithmetic, adapter } = this.#options.kind;
    if (hello === undefined) return `it speaks another language: expected federa ${federa}`;
    const { worker, kind } = hello;
    const refused = this.#banned.get(worker) ??
      (kind.federa !== federa
        ? `it has federa ${kind.federa}, the run has ${federa}`
        : kind.arithmetic !== arithmetic
        ? `it has arithmetic ${kind.arithmetic}, the run has ${arithmetic}`
        : kind.adapter !== adapter
        ? `its adapter is ${kind.adapter}, that of the run ${adapter}`
        : undefined);
    if (refused === undefined) this.see(worker);
    else if (!this.#refused.has(worker)) {
      this.#refused.add(worker);
      this.#report(`Worker ${worker} is refused: ${refused}`);
    }
    return refused;
  }

  /** Notes a sign of a worker; returns whether it counts, as that of one that was sent away doesn't. */
  see(worker: string): boolean {
    if (this.#banned.has(worker)) return false;
    const isNew = !this.#seen.has(worker);
    this.#seen.set(worker, performance.now());
    if (isNew) this.#report(`Worker ${worker} is here (${this.#seen.size} in all)`);
    return true;
  }

  /** Notes that a worker has left. */
  leave(worker: string): void {
    this.#forget(worker, "left");
  }

  /** Counts a worker no longer, whatever it says. */
  ban(worker: string, reason: string): void {
    this.#banned.set(worker, reason);
    this.#seen.delete(worker);
    this.#report(`Worker ${worker} is sent away: ${reason}`);
  }

  /**
   * Looks whether there is anybody to wait for.
   *
   * @throws {WorkersError} when nobody has been there for too long.
   */
  check(): void {
    const now = performance.now();
    const gap = now - this.#looked;
    this.#looked = now;
    if (gap > goneSeconds * 500) {
      // This process did something else, such as an evaluation, and heard nobody meanwhile.
      for (const worker of this.#seen.keys()) this.#seen.set(worker, now);
      if (this.#alone !== undefined) this.#alone += gap;
    }
    for (const [worker, seen] of this.#seen) {
      if (now - seen > goneSeconds * 1000) this.#forget(worker, `hasn't been heard of for ${goneSeconds} s`);
    }
    if (this.#seen.size > 0) {
      this.#alone = undefined;
      return;
    }
    const { queue, waitSeconds = 600 } = this.#options;
    if (this.#alone === undefined) {
      this.#alone = now;
      this.#report(
        `No worker is there; waiting up to ${waitSeconds} s for one: federa worker --nats URL${
          queue === "default" ? "" : ` --queue ${queue}`
        }`,
      );
    }
    if (now - this.#alone <= waitSeconds * 1000) return;
    throw new WorkersError(
      `Cannot go on: no worker has taken part in the queue ${queue} for ${waitSeconds} s; start one with ` +
        "federa worker, and go on with federa resume",
    );
  }

  #forget(worker: string, how: string): void {
    if (this.#seen.delete(worker)) this.#report(`Worker ${worker} ${how} (${this.#seen.size} in all)`);
  }

  #report(line: string): void {
    this.#options.report?.(line);
  }
}
