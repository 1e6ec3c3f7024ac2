import type { z } from "zod";
import { excerpt } from "./excerpt.ts";

const TYPES: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "text",
  object: "an object",
  record: "an object",
  array: "a list",
  boolean: "true or false",
};

/**
 * Says in plain words what a schema expected of a value and what was found, for the `error` option of a parse; undefined
 * where the schema's own message is clearer.
 *
 * @param show what to print of the value.
 *
 * @example
 * ```ts no-run
 * z.number().safeParse("8", { error: (issue) => describeIssue(issue) }).error?.issues[0]?.message;
 * // 'expected a number, got "8"'
 * ```
 */
export function describeIssue(
  issue: z.core.$ZodRawIssue,
  show: (value: unknown) => string = excerpt,
): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return `expected ${typeName(issue.expected)}, got ${show(issue.input)}`;
    case "invalid_union": {
      const meant = issue.errors.filter(([first]) => first && !isOfOtherType(first));
      if (meant.length === 1) return describeIn(meant[0]![0]!);
      const types = issue.errors.map(([first]) =>
        first?.code === "invalid_type" ? typeName(first.expected) : ""
      );
      if (types.length === 0 || types.includes("")) return undefined;
      return `expected ${types.join(" or ")}, got ${show(issue.input)}`;
    }
    case "too_small":
      return `expected ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}${unit(issue)}, got ${
        show(issue.input)
      }`;
    case "too_big":
      return `expected ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}, got ${
        show(issue.input)
      }`;
    default:
      return undefined;
  }
}

/** Whether a value isn't even of the type that one of several schemas expects. */
function isOfOtherType({ code, path }: z.core.$ZodIssue): boolean {
  return code === "invalid_type" && path.length === 0;
}

/** A problem within a value, with its place in it. */
function describeIn({ path, message }: z.core.$ZodIssue): string {
  return path.length === 0 ? message : `${path.map((part) => `[${String(part)}]`).join("")}: ${message}`;
}

function typeName(type: string): string {
  return TYPES[type] ?? type;
}

/** The unit that a limit counts. */
function unit({ origin, minimum }: { readonly origin: string; readonly minimum: number | bigint }): string {
  const one = Number(minimum) === 1;
  if (origin === "string") return one ? " character" : " characters";
  if (origin === "array") return one ? " entry" : " entries";
  return "";
}
