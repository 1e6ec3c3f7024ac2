import type { TestContext } from "node:test";
import { PackageUnavailableError } from "../../src/hub/errors.ts";
import { without } from "../support/tools.ts";

/** Runs a step that may need the npm registry; offline and without npm, skips the test and says so. Every other failure stands. */
export async function fetchOrSkip<T>(t: TestContext, step: () => Promise<T>): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    const isUnavailable = error instanceof PackageUnavailableError &&
      (error.reason === "offline" || error.reason === "npm" && without("npm") !== false);
    if (!isUnavailable) throw error;
    t.skip(error.message);
    return undefined;
  }
}
