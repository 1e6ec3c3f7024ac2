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
