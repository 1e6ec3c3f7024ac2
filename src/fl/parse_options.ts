import type { z } from "zod";
import { describeIssue } from "../data/text/describe_issue.ts";

/**
 * Options with their defaults, checked by a schema.
 *
 * @param action what can't be done when they don't fit, as in "make the method fedit".
 * @throws {RangeError} naming every option that is out of range or unknown.
 */
export function parseOptions<Schema extends z.ZodType>(
  schema: Schema,
  options: unknown,
  action: string,
): z.output<Schema> {
  const { success, data, error } = schema.safeParse(options ?? {}, {
    error: (issue) => describeIssue(issue),
  });
  if (success) return data;
  const problems = error.issues.map(({ path, message }) =>
    path.length > 0 ? `${path.join(".")}: ${message}` : message
  );
  throw new RangeError(`Cannot ${action}: ${problems.join("; ")}`);
}
