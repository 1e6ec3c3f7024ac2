import { inspect } from "node:util";

/** Errors that tell a person what to do; a stack would only bury it. */
const EXPECTED = new Set([
  "AdapterMismatchError",
  "CacheError",
  "ConfigError",
  "CorruptFileError",
  "DataLimitError",
  "DeviceLostError",
  "HubError",
  "MissingFeatureError",
  "ModelConfigError",
  "NoAdapterError",
  "NoCounterpartError",
  "NonFiniteError",
  "OutOfMemoryError",
  "PackageUnavailableError",
  "ParameterMismatchError",
  "PatternError",
  "RunFolderError",
  "TokenizerError",
  "UnsupportedAdapterError",
  "WeightsUnavailableError",
]);

/** What to print of an error: its message alone where that says it all, everything where it's a fault of the program. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return inspect(error);
  // Arguments out of range come from the configuration; the engine of JavaScript words its own errors otherwise.
  const isArgument = error instanceof RangeError && error.message.startsWith("Cannot ");
  return EXPECTED.has(error.name) || isArgument ? error.message : inspect(error);
}
