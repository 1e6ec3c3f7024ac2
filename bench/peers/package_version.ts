import { readFileSync } from "node:fs";

/** The installed version of a peer. */
export function packageVersion(name: string): string {
  const path = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string })
    .version;
}
