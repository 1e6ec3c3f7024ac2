/** No WebGPU adapter could be had; the message says what to install. */
export class NoAdapterError extends Error {
  override name = "NoAdapterError";
}

/** The device lacks an optional feature of WebGPU that was asked for. */
export class MissingFeatureError extends Error {
  override name = "MissingFeatureError";
}

/** The GPU device was lost; every later call on it reports this error. */
export class DeviceLostError extends Error {
  override name = "DeviceLostError";
}

/** A tensor does not fit the memory or the binding limits of the adapter. */
export class OutOfMemoryError extends Error {
  override name = "OutOfMemoryError";
}

/** The device rejected a command; results computed since the last readback can't be trusted. */
export class GpuValidationError extends Error {
  override name = "GpuValidationError";
}

/** A value that must be finite is NaN or infinite. */
export class NonFiniteError extends Error {
  override name = "NonFiniteError";
}
