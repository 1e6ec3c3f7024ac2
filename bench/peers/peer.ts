/** A library that was loaded, and what it runs on. */
export interface LoadedPeer<Handle> {
  /** What a suite writes its programs with. */
  readonly handle: Handle;
  readonly version: string;
  /** Its adapter, to be sure that all have the same. */
  readonly adapter: string;
}
