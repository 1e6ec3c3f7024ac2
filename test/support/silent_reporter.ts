import type { Reporter } from "../../src/experiment/report/reporter.ts";

/** A reporter that says nothing. */
export const silent: Reporter = { line() {}, progress() {}, endProgress() {} };
