const windowMilliseconds = 60_000;
const spacingMilliseconds = 500;

/** Estimates how long a task still takes by how fast it went within the last minute. */
export class TimeLeft {
  #samples: { readonly time: number; readonly done: number }[] = [];

  /**
   * Records the progress so far.
   *
   * @returns the seconds left; undefined until they can be estimated.
   */
  update(done: number, total: number): number | undefined {
    const time = Date.now();
    const last = this.#samples.at(-1);
    if (last === undefined || done < last.done) this.#samples = [{ time, done }];
    else if (time - last.time >= spacingMilliseconds && done > last.done) this.#samples.push({ time, done });
    while (this.#samples.length > 2 && time - this.#samples[1]!.time >= windowMilliseconds) {
      this.#samples.shift();
    }
    const [first, latest] = [this.#samples[0]!, this.#samples.at(-1)!];
    if (latest.done <= first.done) return undefined;
    const sinceLatest = time - latest.time;
    const pace = (latest.time - first.time) / (latest.done - first.done);
    return Math.max(0, (total - latest.done) * pace - sinceLatest) / 1000;
  }
}

/** Seconds for people: `about 40 s left`, `about 2 min left`, `about 3 h 20 min left`. */
export function describeTimeLeft(seconds: number): string {
  if (seconds < 55) return `about ${Math.max(5, 5 * Math.ceil(seconds / 5))} s left`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `about ${minutes} min left`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return hours >= 10 || rest === 0
    ? `about ${Math.round(minutes / 60)} h left`
    : `about ${hours} h ${rest} min left`;
}
