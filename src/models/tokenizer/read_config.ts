import { TokenizerError } from "./errors.ts";

/** A JSON object of a tokenizer's file. */
export type Config = Readonly<Record<string, unknown>>;

/** A JSON object. @throws {TokenizerError} if `value` is anything else. */
export function asConfig(value: unknown, what: string): Config {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Config;
  return refuse(`${what} must be an object, got ${show(value)}`);
}

/** A JSON array. @throws {TokenizerError} if `value` is anything else. */
export function asList(value: unknown, what: string): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(`${what} must be a list, got ${show(value)}`);
}

/** A string. @throws {TokenizerError} if `value` is anything else. */
export function asText(value: unknown, what: string): string {
  return typeof value === "string" ? value : refuse(`${what} must be a string, got ${show(value)}`);
}

/** A string that a step puts into texts. @throws {TokenizerError} if `value` isn't one, or has more than 100 characters. */
export function asShortText(value: unknown, what: string): string {
  const text = asText(value, what);
  return text.length <= 100 ? text : refuse(`${what} must have at most 100 characters, got ${text.length}`);
}

/** A flag, or what stands for one that is missing or null. @throws {TokenizerError} if it is anything else. */
export function asFlag(value: unknown, what: string, missing: boolean): boolean {
  if (value === undefined || value === null) return missing;
  return typeof value === "boolean" ? value : refuse(`${what} must be true or false, got ${show(value)}`);
}

/** An id. @throws {TokenizerError} if `value` isn't an integer from 0, below 2³¹. */
export function asId(value: unknown, what: string): number {
  if (Number.isInteger(value) && value as number >= 0 && value as number < 2 ** 31) return value as number;
  return refuse(`${what} must be an integer from 0, below 2^31, got ${show(value)}`);
}

/** Refuses a file. @throws {TokenizerError} always, with `reason`. */
export function refuse(reason: string): never {
  throw new TokenizerError(`Cannot read tokenizer: ${reason}`);
}

/** A value as it stands in the file, cut short. */
export function show(value: unknown): string {
  const text = typeof value === "object" && value !== null
    ? (Array.isArray(value) ? "a list" : "an object")
    : JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** Steps may hold steps, but no deeper than this, and no more of them. */
const MAX_DEPTH = 8;
const MAX_STEPS = 32;

/**
 * Reads the steps of a sequence.
 *
 * @throws {TokenizerError} if they aren't a list, are too many, or are nested too deeply.
 */
export function readSteps<T>(
  value: unknown,
  what: string,
  depth: number,
  read: (step: unknown, what: string, depth: number) => T,
): T[] {
  const steps = asList(value, what);
  if (depth >= MAX_DEPTH) refuse(`${what} must not be nested deeper than ${MAX_DEPTH}`);
  if (steps.length > MAX_STEPS) refuse(`${what} must have at most ${MAX_STEPS} steps, got ${steps.length}`);
  return steps.map((step, i) => read(step, `${what}[${i}]`, depth + 1));
}
