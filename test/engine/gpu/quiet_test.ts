import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { onDeno, runProgram } from "../../support/run_program.ts";

/** What a process prints on its standard error stream, a pipe, while it runs code as a module. */
async function stderrOf(code: string): Promise<string> {
  const { status, stderr } = await runProgram(code);
  assert.equal(status, 0, stderr);
  return stderr;
}

test("openGpu() keeps the driver's lines about lowered limits to itself, and the stream works afterwards", async () => {
  const printed = await stderrOf(`
    import { openGpu } from "./src/engine/mod.ts";
    console.error("before");
    const gpu = await openGpu();
    console.error("after");
    process.exit();
  `);
  assert.equal(printed, "before\nafter\n");
});

test("withoutNoise() drops what native code prints line by line, and passes on all else", async (t) => {
  if (process.platform !== "linux") return t.skip("it only redirects on Linux");
  if (onDeno) return t.skip("it is for Dawn's lines, which Deno has none of");
  // A write to the descriptor itself, as native code does it.
  const printed = await stderrOf(`
    import { writeSync } from "node:fs";
    import { withoutNoise } from "./src/engine/gpu/_quiet_node.ts";
    const work = () => { writeSync(2, "noise 1\\nnews\\nnoise 2\\nno line end"); return 42; };
    console.error(withoutNoise(work, (line) => /^noise \\d$/.test(line)));
    try {
      withoutNoise(() => { writeSync(2, "last words\\n"); throw new Error("fault"); }, () => false);
    } catch (error) {
      console.error(error.message);
    }
  `);
  assert.equal(printed, "news\nno line end42\nlast words\nfault\n");
});
