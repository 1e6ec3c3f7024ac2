import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { readDescription } from "../../src/experiment/mod.ts";
import { flowerPrograms, withoutFlower } from "../interop/flower/programs.ts";
import { freePort } from "../interop/flower/superlink.ts";
import { decodeHostTensors } from "../support/host_tensors.ts";
import { root } from "../support/installed_package.ts";
import { writeTinyCheckpoint } from "../support/tiny_checkpoint.ts";
import { largestDifference } from "../support/tiny_federation.ts";

const register = new URL("../../scripts/register.mjs", import.meta.url).href;
const cli = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

// The commands of the page's first part, as they stand. The differences from what a reader does: the environment with Flower is there
// already, the model is a tiny one in a folder, the port is a free one, and federa is that of the working tree.
test("the commands of docs/flower.md bring two nodes to one model", {
  skip: withoutFlower ?? (process.platform === "win32" && "the commands are written for a POSIX shell"),
}, async (t) => {
  const page = await readFile(join(root, "docs/flower.md"), "utf8");
  const part = page.slice(page.indexOf("## From nothing"), page.indexOf("## What the server says"));
  const blocks = [...part.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, code]) => code!);
  assert.equal(blocks.length, 6);
  const folder = await mkdtemp(join(tmpdir(), "federa-docs-"));
  const port = await freePort();
  await symlink(dirname(await flowerPrograms()), join(folder, "flower-venv"));
  await symlink(join(root, "examples"), join(folder, "examples"));
  await writeTinyCheckpoint(join(folder, "bert"), { seed: 1 });
  const code = blocks.join("\n")
    .replace(/^python3 -m venv .*$/m, "").replace(/^pip install .*$/m, "")
    .replaceAll("8000", `${port}`)
    .replaceAll("hf:sentence-transformers/all-MiniLM-L6-v2", join(folder, "bert"))
    .replaceAll("npx federa", `'${process.execPath}' --import '${register}' '${cli}'`);
  // What runs in the background ends with the shell.
  const script = `set -eu\ntrap 'kill $(jobs -p); wait' EXIT\n${code}`;
  await writeFile(join(folder, "commands.sh"), script);
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { stdout } = await promisify(execFile)("bash", ["commands.sh"], {
    cwd: folder,
    timeout: 180_000,
    env: {
      ...process.env,
      HOME: folder,
      // The driver's settings and downloads stay where they are.
      FLWR_HOME: join(folder, ".flwr"),
      FLWR_TELEMETRY_ENABLED: "0",
      FLWR_DISABLE_UPDATE_CHECK: "1",
      PYTHONDONTWRITEBYTECODE: "1",
    },
  }).catch(async (error) => {
    const logs = ["superlink.log", "ada.log", "bob.log"].map((name) =>
      readFile(join(folder, name), "utf8").catch(() => "")
    );
    throw new Error(`${error.message}\n${error.stdout}\n${(await Promise.all(logs)).join("\n")}`);
  });
  assert.match(stdout, /client 0\): base \w{12}…, start \w{12}…/);
  assert.match(stdout, /aggregate_evaluate: Received 2 results and 0 failures/);
  assert.match(stdout, /a joy to watch/);
  const [ada, bob] = await Promise.all(
    ["ada", "bob"].map(async (name) =>
      decodeHostTensors(await readFile(join(folder, name, "model/adapter.safetensors")))
    ),
  );
  assert.equal(largestDifference(ada!, bob!), 0);
  assert.deepEqual((await readDescription(join(folder, "ada/model")))?.labels, ["negative", "positive"]);
  const log = await readFile(join(folder, "ada.log"), "utf8");
  assert.match(
    log,
    /Round 2 of 2: trained on 4 examples, loss \d\.\d+; [\d,]+ bytes of values came, [\d,]+ go/,
  );
});
