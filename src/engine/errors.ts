/**
 * The base of all errors that the caller can fix or should show to the user: the message says what was tried, what was expected
 * and what was found. Wrong arguments throw `TypeError` and `RangeError` instead.
 */
export class FederaError extends Error {
  override name = "FederaError";
}

/** No WebGPU adapter is available; the message says what to install. */
export class NoAdapterError extends FederaError {
  override name = "NoAdapterError";
}

/** The device lacks an optional feature of WebGPU that was asked for. */
export class MissingFeatureError extends FederaError {
  override name = "MissingFeatureError";
}

/** The GPU device was lost; every later call on it reports this error. */
export class DeviceLostError extends FederaError {
  override name = "DeviceLostError";
}

/** A tensor does not fit the memory or the binding limits of the adapter. */
export class OutOfMemoryError extends FederaError {
  override name = "OutOfMemoryError";
}

/** The device rejected a command; results computed since the last readback can't be trusted. */
export class GpuValidationError extends FederaError {
  override name = "GpuValidationError";
}

/** A value that must be finite is NaN or infinite. */
export class NonFiniteError extends FederaError {
  override name = "NonFiniteError";
}
