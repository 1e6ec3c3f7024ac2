import { FederaError } from "../engine/errors.ts";

/** A package isn't available from the npm registry; `reason` says why. */
export class PackageUnavailableError extends FederaError {
  override name = "PackageUnavailableError";
  /** `offline`: the registry did not answer; `not-found`: no such version; `npm`: npm is missing or failed. */
  readonly reason: "offline" | "not-found" | "npm";

  constructor(message: string, reason: PackageUnavailableError["reason"], options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/**
 * Why a model's files aren't available. `invalid`: the spec, a file name or a setting is malformed; `not-found`: no such
 * model, revision or folder; `unauthorized`: private or gated, or the token is refused; `rate-limited`: the hub wants
 * fewer requests; `offline`: the hub does not answer, or must not be asked; `server`: the hub fails, or the server isn't
 * a hub.
 */
export type HubErrorReason = "invalid" | "not-found" | "unauthorized" | "rate-limited" | "offline" | "server";

/** A model's files aren't available from where its spec points to; `reason` says why. */
export class HubError extends FederaError {
  override name = "HubError";
  readonly reason: HubErrorReason;

  constructor(message: string, reason: HubErrorReason, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** A cache of files cannot be read or written. */
export class CacheError extends FederaError {
  override name = "CacheError";
}
