import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { FLOWER, setUpFlower } from "../../../scripts/setup_flower.ts";
import { cacheFolder } from "../../../src/hub/mod.ts";

/** Why there is no Flower here; undefined where there is one. It isn't installed for a test alone, as it takes some 300 MB. */
export const withoutFlower: string | undefined =
  process.env["FEDERA_FLOWER"] || existsSync(join(cacheFolder(), `flower-${FLOWER}`, "complete"))
    ? undefined
    : "there is no Flower: npm run setup:flower installs it, or FEDERA_FLOWER names the bin folder of an environment with it";

/** The folder of Flower's programs. */
export function flowerPrograms(): Promise<string> {
  return setUpFlower();
}
