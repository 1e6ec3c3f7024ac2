/** A file's bytes contradict its format or its pinned checksum; the message names the file and both values. */
export class CorruptFileError extends Error {
  override name = "CorruptFileError";
}

/** A package cannot be had from the npm registry; `reason` tells why. */
export class PackageUnavailableError extends Error {
  override name = "PackageUnavailableError";
  /** `offline`: the registry did not answer; `not-found`: no such version; `npm`: npm is missing or failed. */
  readonly reason: "offline" | "not-found" | "npm";

  constructor(message: string, reason: PackageUnavailableError["reason"], options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** The user cache cannot be written. */
export class CacheError extends Error {
  override name = "CacheError";
}
