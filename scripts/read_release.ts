import { existsSync, readFileSync } from "node:fs";

/** The fields of os-release, such as `ID` and `VERSION_CODENAME`; empty where there is no such file. */
export function readRelease(path = "/etc/os-release"): Record<string, string> {
  const fields: Record<string, string> = {};
  if (!existsSync(path)) return fields;
  for (const [, name = "", value = ""] of readFileSync(path, "utf8").matchAll(/^(\w+)="?([^"\n]*)"?$/gm)) {
    fields[name] = value;
  }
  return fields;
}
