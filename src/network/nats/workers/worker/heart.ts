/** When something last went on. */
export class Heart {
  #last = performance.now();

  /** Notes that something goes on. */
  beat(): void {
    this.#last = performance.now();
  }

  /** Seconds since something went on. */
  get silence(): number {
    return (performance.now() - this.#last) / 1000;
  }
}
