// Opens the model that its first argument names and reads one file, with the patience of tests; prints its path.
import process from "node:process";
import { openModelFiles } from "../../../src/hub/mod.ts";

const [spec, name] = process.argv.slice(2) as [string, string];
const model = await openModelFiles(spec, { patience: { firstWait: 1 } });
console.log(await model.path(name));
