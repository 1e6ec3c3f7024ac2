/** Reported while a file of a model is fetched; a file that is on this machine already is not reported. */
export interface ModelFileProgress {
  /** Name of the file in the model, or `package@version` of an npm package, which comes as a whole. */
  readonly file: string;
  /** `ready` comes last, and not after a failure. */
  readonly phase: "download" | "ready";
  /** Bytes on the disk so far, those of an earlier, interrupted download included. */
  readonly bytes: number;
  /** Bytes of the whole; undefined where the server doesn't say. */
  readonly total: number | undefined;
}
