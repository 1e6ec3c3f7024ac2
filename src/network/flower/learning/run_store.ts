/** What a node keeps of one run of a federation. */
export interface SavedRun {
  /** What every message of the run said. */
  readonly identity: string;
  /** The start that the server made, as safetensors. */
  readonly start?: Uint8Array | undefined;
  /** What the participant keeps from round to round. */
  readonly participant?: Uint8Array | undefined;
}

/** Where a node keeps what it needs to go on after it was killed, by the number of the run. */
export interface RunStore {
  /** What was saved of a run; undefined where nothing was. */
  read(runId: bigint): Promise<SavedRun | undefined>;
  /** Saves all of it at once: after it, a reader finds the new state, and before it the old one. */
  write(runId: bigint, saved: SavedRun): Promise<void>;
}
