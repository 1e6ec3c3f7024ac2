import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";
import { hostConfigSchema } from "../../src/network/nats/federation/host/host_config.ts";
import { federationPermissions } from "../../src/network/nats/federation/mod.ts";
import { root } from "../support/installed_package.ts";
import { startNats, withoutNats } from "../support/nats_server.ts";
import { readmeBlocks } from "../support/readme.ts";
import { temporaryFolder } from "../support/temporary_files.ts";
import { writeTinyCheckpoint } from "../support/tiny_checkpoint.ts";

const page = "docs/federation.md";
const posix = process.platform !== "win32";

test("the commands of docs/federation.md play a federation of two, whose model predicts", {
  skip: posix ? await withoutNats() : "the commands are written for a POSIX shell",
}, async () => {
  const folder = temporaryFolder();
  await using server = await startNats();
  await writeTinyCheckpoint(join(folder, "bert"), { seed: 1 });
  // What the commands call: this working tree, and a server that runs already.
  await mkdir(join(folder, "bin"));
  const program = async (name: string, text: string) => {
    await writeFile(join(folder, "bin", name), `#!/bin/sh\n${text}\n`);
    await chmod(join(folder, "bin", name), 0o755);
  };
  const run = [
    process.execPath,
    "--import",
    join(root, "scripts/register.mjs"),
    join(root, "src/cli/main.ts"),
  ];
  await program("npx", `shift\nexec ${run.map((part) => `'${part}'`).join(" ")} "$@"`);
  await program("nats-server", "exec sleep 1");
  const blocks = (await readmeBlocks(page)).filter(({ language }) => language === "sh");
  const script = blocks.map(({ code }) => code).join("\n")
    .replaceAll("nats://127.0.0.1:4222", server.url)
    .replaceAll("hf:sentence-transformers/all-MiniLM-L6-v2", "bert");
  const { stdout } = await promisify(execFile)("bash", ["-c", `set -e\n${script}`], {
    cwd: folder,
    env: { ...process.env, PATH: `${join(folder, "bin")}:${process.env["PATH"]}` },
    timeout: 120_000,
  }).catch(async (error) => {
    const logs = await Promise.all(
      ["host", "ada", "bob"].map((name) => readFile(join(folder, `${name}.log`), "utf8").catch(() => "")),
    );
    throw new Error(logs.join("\n---\n"), { cause: error });
  });
  assert.match(
    stdout,
    /^ {2}round 3\/3: train loss [\d.]+; [\d,]+ bytes sent[\s\S]*The model is in bob\/model\na joy to watch\n {2}(negative|positive)/m,
  );
  const read = (name: string) => readFile(join(folder, name), "utf8");
  assert.match(
    await read("host.log"),
    /Begins with ada \(4 examples\), bob \(4 examples\)[\s\S]*round 3\/3 {2}train loss/,
  );
  assert.match(
    await read("ada.log"),
    /hosted by the film club[\s\S]*round 3\/3: train loss [\d.]+; [\d,]+ bytes sent/,
  );
});

test("the configurations of docs/federation.md are one of a host, and one of a server that a federation is permitted on", async () => {
  const text = await readFile(join(root, page), "utf8");
  const [config] = [...text.matchAll(/reviews\.json <<'END'\n([\s\S]*?)END/g)].map(([, json]) =>
    JSON.parse(json!)
  );
  assert.equal(hostConfigSchema.parse(config).minimum, 2);
  const [block] = [...text.matchAll(/^```\n(listen[\s\S]*?)^```$/gm)].map(([, code]) => code!);
  for (const { user, permissions } of federationPermissions("reviews", ["ada"])) {
    const entry = block!.slice(block!.indexOf(`user: ${user},`)).split("} }")[0]!;
    for (const [key, subjects] of Object.entries(permissions)) {
      const listed = JSON.parse(new RegExp(`${key}: (\\[[^\\]]*\\])`).exec(entry)![1]!);
      assert.deepEqual(listed, subjects, `${user} ${key}`);
    }
  }
});
