import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { withoutNats } from "../support/nats_server.ts";
import { root } from "../support/installed_package.ts";
import { writeTinyCheckpoint } from "../support/tiny_checkpoint.ts";

const register = new URL("../../scripts/register.mjs", import.meta.url).href;
const cli = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

// The commands of the page's first part, as they stand. The differences from what a reader does: the model is a tiny one in a folder, the
// port is a free one, and federa and npm's scripts are those of the working tree.
test("the commands of docs/many_machines.md bring a run on two workers to its end", {
  skip: await withoutNats() || (process.platform === "win32" && "the commands are written for a POSIX shell"),
}, async (t) => {
  const page = await readFile(join(root, "docs/many_machines.md"), "utf8");
  const part = page.slice(page.indexOf("## From nothing"), page.indexOf("## Two machines"));
  const blocks = [...part.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, code]) => code!);
  assert.equal(blocks.length, 3);
  const folder = await mkdtemp(join(tmpdir(), "federa-docs-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeTinyCheckpoint(join(folder, "bert"), { seed: 1, maxTokens: 64 });
  const port = await freePort();
  const code = blocks.join("\n")
    .replaceAll("4222", `${port}`)
    .replace("npm run", `npm --prefix '${root}' run`)
    .replaceAll("hf:sentence-transformers/all-MiniLM-L6-v2", "./bert")
    .replaceAll("npx federa", `'${process.execPath}' --import '${register}' '${cli}'`);
  const over =
    'for log in worker-1.log worker-2.log; do for i in $(seq 100); do grep -q "run is over" $log && break; sleep 0.1; done; done';
  // What runs in the background ends with the shell.
  const script = `set -eu\ntrap 'kill $(jobs -p) 2> /dev/null || true; wait' EXIT\n${code}\n${over}\n`;
  await writeFile(join(folder, "commands.sh"), script);
  const { stdout } = await promisify(execFile)("bash", ["commands.sh"], {
    cwd: folder,
    timeout: 240_000,
    env: { ...process.env, LP_NUM_THREADS: "1", XDG_CACHE_HOME: process.env["XDG_CACHE_HOME"] ?? "" },
  }).catch(async (error) => {
    const logs = ["nats.log", "worker-1.log", "worker-2.log"].map((name) =>
      readFile(join(folder, name), "utf8").catch(() => "")
    );
    throw new Error(`${error.message}\n${error.stdout}\n${(await Promise.all(logs)).join("\n")}`);
  });
  assert.match(stdout, /Worker .* is here \(2 in all\)/);
  assert.match(stdout, /round 2\/2 {2}train loss/);
  for (const name of ["worker-1.log", "worker-2.log"]) {
    assert.match(
      await readFile(join(folder, name), "utf8"),
      /A run takes this worker\n(.*\n)*The run is over/,
    );
  }
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
