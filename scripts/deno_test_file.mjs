// The test file of `deno test`: imports the one that is named after `--`. Deno looks at a test file's imports before it runs
// anything, so that file itself would fail at its first `.wgsl`.
import "./register_deno.mjs";
import { resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

await import(pathToFileURL(resolve(process.argv[2])).href);
