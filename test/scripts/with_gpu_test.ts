import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const RUNNER = fileURLToPath(new URL("../../scripts/with_gpu.mjs", import.meta.url));

test("with_gpu.mjs says nothing where an adapter exists, and passes on arguments and the exit code", () => {
  const code = `console.log(process.argv.slice(1).join()); process.exit(7);`;
  const { status, stdout, stderr } = spawnSync(process.execPath, [RUNNER, "-e", code, "--", "a", "b"], {
    encoding: "utf8",
  });
  assert.deepEqual({ status, stdout, stderr }, { status: 7, stdout: "a,b\n", stderr: "" });
});
