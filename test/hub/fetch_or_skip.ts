import type { TestContext } from "node:test";
import { PackageUnavailableError } from "../../src/hub/errors.ts";

/** Runs a step that may need the npm registry; offline, skips the test and says so. Every other failure stands. */
export async function fetchOrSkip<T>(t: TestContext, step: () => Promise<T>): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof PackageUnavailableError) || error.reason !== "offline") throw error;
    t.skip(error.message);
    return undefined;
  }
}
