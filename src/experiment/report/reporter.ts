/** What {@linkcode Reporter.progress} may show beside the numbers. */
export interface ProgressDetails {
  /** What is counted, such as `steps`; `bytes` are shown as megabytes. */
  readonly unit?: string;
  /** Seconds that are left; by default estimated from the pace of this task. */
  readonly secondsLeft?: number | undefined;
}

/** Reports to a person what is going on. */
export interface Reporter {
  /** Prints a line or several, above the progress bar where there is one; control characters are escaped. */
  line(text: string): void;
  /**
   * Shows how far a task is and how long it will still take; replaces the bar of another task.
   *
   * @param total 0 if it isn't known.
   */
  progress(task: string, done: number, total: number, details?: ProgressDetails): void;
  /** Removes the bar. */
  endProgress(): void;
}
