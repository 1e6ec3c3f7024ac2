import { spawnSync } from "node:child_process";
import process from "node:process";
import { withOwnName } from "../../src/hub/own_names.ts";

/** The name for a temporary file that a process of this machine had which runs no more. */
export async function deadName(): Promise<string> {
  const { pid } = spawnSync(process.execPath, ["--version"]);
  return await withOwnName(async (name) => name.replace(`-${process.pid}-`, `-${pid}-`));
}
