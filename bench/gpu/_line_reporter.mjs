// A reporter of node:test: one line of JSON for each test that passed, failed or was skipped.
export default async function* report(source) {
  for await (const { type, data } of source) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const { name, skip, details } = data;
    // A test that fails for its subtests says nothing that they don't.
    if (details.error?.failureType === "subtestsFailed") continue;
    const cause = details.error?.cause ?? details.error;
    yield `${
      JSON.stringify({
        name,
        outcome: skip !== undefined ? "skipped" : type === "test:pass" ? "passed" : "failed",
        milliseconds: details.duration_ms,
        ...(typeof skip === "string" && { reason: skip }),
        ...(type === "test:fail" && { error: String(cause?.stack ?? cause?.message ?? cause) }),
      })
    }\n`;
  }
}
