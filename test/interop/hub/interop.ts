// Shares one cache with Python's huggingface_hub, by hand, against a hub on the loopback:
//
//   pip install -r test/interop/hub/requirements.txt
//   node --import ./scripts/register.mjs test/interop/hub/interop.ts [PYTHON]
//
// Each side reads offline what the other wrote, asks for no byte that the other has fetched, and leaves the same tree of
// files and links. Prints what it finds and fails at the first difference.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { openModelFiles } from "../../../src/hub/mod.ts";
import { HubServer } from "../../support/hub_server.ts";

type Digests = Record<string, string | null>;

const PYTHON = process.argv[2] ?? "python3";
const REPO = "owner/name";
const [OLD, NEW] = ["a".repeat(40), "b".repeat(40)];
const NAMES = ["config.json", "1_Pooling/config.json", "model.safetensors", "no-such-file.json"];

const server = await HubServer.start();
const weights = Buffer.alloc(3_000_001, "federated ");
const files = {
  "config.json": Buffer.from("{}\n"),
  "1_Pooling/config.json": Buffer.from('{"pooling":"é"}'),
  "model.safetensors": weights,
};
server.repos.set(REPO, {
  commits: { [OLD]: { ...files, "config.json": Buffer.from("{ }\n") }, [NEW]: files },
  refs: { main: NEW, v1: OLD, "refs/pr/1": OLD },
  token: "hf_secret",
});
const expected: Digests = { "no-such-file.json": null };
for (const [name, bytes] of Object.entries(files)) expected[name] = sha256(bytes);

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function environmentOf(home: string, offline = false): Record<string, string> {
  return {
    HF_HOME: home,
    HF_ENDPOINT: server.endpoint,
    HF_TOKEN: "hf_secret",
    HF_HUB_DISABLE_XET: "1",
    ...(offline && { HF_HUB_OFFLINE: "1" }),
  };
}

async function python<T>(home: string, offline: boolean, ...args: string[]): Promise<T> {
  const env = { ...process.env, ...environmentOf(home, offline) };
  const script = join(import.meta.dirname, "cache.py");
  const { stdout } = await promisify(execFile)(PYTHON, [script, ...args], { env });
  return JSON.parse(stdout) as T;
}

async function ours(home: string, offline: boolean, revision: string): Promise<Digests> {
  const model = await openModelFiles(`hf:${REPO}@${revision}`, { environment: environmentOf(home, offline) });
  const digests: Digests = {};
  for (const name of NAMES) {
    const path = await model.path(name);
    digests[name] = path === undefined ? null : sha256(await readFile(path));
  }
  return digests;
}

/** Files with their content and links with their target, by path; locks and tags of folders left out. */
async function treeOf(home: string): Promise<Record<string, string>> {
  const root = join(home, "hub", "models--owner--name");
  const tree: Record<string, string> = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(root.length + 1);
    if (entry.isSymbolicLink()) tree[name] = `-> ${await readlink(path)}`;
    else if (entry.isFile()) tree[name] = sha256(await readFile(path)).slice(0, 12);
  }
  return Object.fromEntries(Object.entries(tree).sort());
}

/** Requests for content, and not for what is known of it. */
function downloads(): number {
  const count =
    server.requests.filter(({ method, host, path }) =>
      method === "GET" && (host === "store" || path.startsWith("/api/resolve-cache/"))
    ).length;
  server.requests.length = 0;
  return count;
}

function show(claim: string, value: unknown): void {
  console.log(`${claim}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
}

const homes = await Promise.all(
  ["ours", "theirs", "both"].map((name) => mkdtemp(join(tmpdir(), `federa-${name}-`))),
);
const [a, b, c] = homes as [string, string, string];
try {
  assert.deepEqual(await ours(a, false, "main"), expected);
  show("we download, files", downloads());
  assert.deepEqual(await python(a, true, "files", REPO, "main", ...NAMES), expected);
  show("Python reads offline what we wrote", "equal, the missing file known as missing");
  assert.deepEqual(await python(a, false, "files", REPO, "main", ...NAMES), expected);
  show("Python online on our cache, downloads", downloads());

  assert.deepEqual(await python(b, false, "files", REPO, "main", ...NAMES), expected);
  show("Python downloads, files", downloads());
  assert.deepEqual(await ours(b, true, "main"), expected);
  show("we read offline what Python wrote", "equal, the missing file known as missing");
  assert.deepEqual(await ours(b, false, "main"), expected);
  show("we online on Python's cache, downloads", downloads());

  const tree = await treeOf(a);
  assert.deepEqual(tree, await treeOf(b));
  show("both trees are equal, entries", Object.keys(tree).length);
  for (const [name, content] of Object.entries(tree)) console.log(`  ${name} ${content}`);

  await python(b, false, "snapshot", REPO, "v1");
  const old = await ours(b, true, "v1");
  assert.equal(old["config.json"], sha256(Buffer.from("{ }\n")));
  assert.equal(old["no-such-file.json"], null);
  show("we read offline a snapshot with Python's list of its files", "equal");
  await ours(a, false, "refs/pr/1");
  assert.deepEqual(
    await python(a, true, "files", REPO, "refs/pr/1", "config.json"),
    { "config.json": old["config.json"] },
  );
  show("Python reads offline our refs/pr/1", "equal");

  show("Python verifies our cache against the hub", await python(a, false, "verify", REPO, "main"));
  downloads();
  await Promise.all([ours(c, false, "main"), python(c, false, "files", REPO, "main", ...NAMES)]);
  show("both at once on an empty cache, downloads", downloads());
  assert.deepEqual(await treeOf(c), tree);
  show("its tree", "equal");
} finally {
  await server.close();
  for (const home of homes) await rm(home, { recursive: true, force: true });
}
