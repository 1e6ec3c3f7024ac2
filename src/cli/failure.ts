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

/** How JavaScript's engine begins type errors of its own, which are faults of the program. */
const ENGINE =
  /^Cannot (read|set) propert|^Cannot (destructure|access|convert|assign|mix|redefine|define|delete|add property)/;

/** What to print of an error: its message alone where that says it all, everything where it's a fault of the program. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return inspect(error);
  // Arguments that are out of range or don't fit come from the configuration or the command line.
  const isArgument = (error instanceof RangeError || error instanceof TypeError) &&
    error.message.startsWith("Cannot ") && !ENGINE.test(error.message);
  return EXPECTED.has(error.name) || isArgument ? error.message : inspect(error);
}
