import { inspect } from "node:util";
import { FederaError } from "../../engine/mod.ts";
import { describeCause } from "../../data/files/describe_cause.ts";

/** How the JavaScript engine's own type errors begin; they are bugs of this program. */
const ENGINE =
  /^Cannot (read|set) propert|^Cannot (destructure|access|convert|assign|mix|redefine|define|delete|add property)/;

/** What the JavaScript engine says about a size that it can't allocate. */
const TOO_LARGE =
  /^Invalid (typed )?array length|^Invalid array buffer length|^Array buffer allocation failed|^Invalid string length/;

/** What to print of an error: only its message if that is enough, and everything if it is a bug of this program. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return inspect(error);
  if (error instanceof FederaError || isArgument(error)) return error.message;
  if (error instanceof RangeError && TOO_LARGE.test(error.message)) {
    return `Cannot allocate enough memory (${error.message}): use less data, smaller batches or shorter texts`;
  }
  return describeSystem(error) ?? inspect(error);
}

/** Arguments that are out of range or don't fit come from the configuration or the command line. */
function isArgument(error: Error): boolean {
  return (error instanceof RangeError || error instanceof TypeError) && error.message.startsWith("Cannot ") &&
    !ENGINE.test(error.message);
}

/** Errors of the operating system, or of Node on its behalf, whose messages name the file. */
function describeSystem(error: NodeJS.ErrnoException): string | undefined {
  switch (error.code) {
    case "ERR_STRING_TOO_LONG":
    case "ERR_FS_FILE_TOO_LARGE":
    case "ERR_BUFFER_TOO_LARGE":
      return `Cannot read a file of this size at once: ${error.message}`;
    case "ERR_INVALID_ARG_VALUE":
      return /null bytes/.test(error.message)
        ? `Cannot use a path with a NUL character: ${error.message}`
        : undefined;
    default:
      return error.syscall === undefined ? undefined : `Cannot continue: ${describeCause(error)}`;
  }
}
