import assert from "node:assert/strict";
import { lstat, mkdir, readFile, readlink, realpath, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { CacheError, HubError } from "../../../src/hub/errors.ts";
import { CorruptFileError } from "../../../src/data/errors.ts";
import { openModelFiles } from "../../../src/hub/mod.ts";
import { hubEtag } from "../../support/hub_server.ts";
import { CONFIG, makeBench, NEW, OLD, REPO, WEIGHTS } from "./bench.ts";

const CONFIG_ETAG = hubEtag("config.json", CONFIG);
const WEIGHTS_ETAG = hubEtag("model.safetensors", WEIGHTS);

test("openModelFiles() fetches files of one commit into the layout of huggingface_hub", async (t) => {
  const { server, options, root, contents } = await makeBench(t);
  const model = await openModelFiles(`hf:${REPO}`, options);
  assert.equal(model.source, `hf:${REPO}@${NEW}`);
  const [config, weights, pooling] = await Promise.all(
    ["config.json", "model.safetensors", "1_Pooling/config.json"].map((name) => model.path(name)),
  );
  assert.equal(config, join(root, "snapshots", NEW, "config.json"));
  assert.deepEqual(await readFile(config!), CONFIG);
  assert.deepEqual(await readFile(weights!), Buffer.from(WEIGHTS));
  assert.deepEqual(await readFile(pooling!), CONFIG);
  assert.equal(await readlink(weights!), join("..", "..", "blobs", WEIGHTS_ETAG));
  assert.equal(await readlink(pooling!), join("..", "..", "..", "blobs", CONFIG_ETAG));
  assert.equal(await readFile(join(root, "refs", "main"), "utf8"), NEW);
  assert.deepEqual(
    await contents(),
    [
      `blobs/${CONFIG_ETAG}`,
      `blobs/${WEIGHTS_ETAG}`,
      "refs/main",
      `snapshots/${NEW}/1_Pooling/config.json`,
      `snapshots/${NEW}/config.json`,
      `snapshots/${NEW}/model.safetensors`,
    ].map((path) => join("models--owner--name", path)).sort(),
  );
  // Two names with the same content are one blob, downloaded once.
  const downloads = server.requests.filter(({ method, path }) => method === "GET" && path.includes("etag="));
  assert.equal(downloads.length, 1);
});

test("openModelFiles() asks for nothing that the cache has, and for the listing alone when a branch is named", async (t) => {
  const { server, options } = await makeBench(t);
  const first = await openModelFiles(`hf:${REPO}@v1`, options);
  await first.path("config.json");
  assert.equal(await first.path("no-such-file.json"), undefined);
  server.requests.length = 0;
  const second = await openModelFiles(`hf:${REPO}@v1`, options);
  assert.equal(await second.path("config.json"), await first.path("config.json"));
  assert.deepEqual(server.requests.map(({ path }) => path), [`/api/models/${REPO}/revision/v1`]);
  server.requests.length = 0;
  const pinned = await openModelFiles(`hf:${REPO}@${OLD}`, options);
  assert.equal(await pinned.path("config.json"), await first.path("config.json"));
  assert.equal(await pinned.path("no-such-file.json"), undefined);
  assert.equal(server.requests.length, 0);
});

test("openModelFiles() stays at its commit when the branch moves", async (t) => {
  const { server, options, root } = await makeBench(t);
  const model = await openModelFiles(`hf:${REPO}@main`, options);
  const repo = server.repos.get(REPO)!;
  server.repos.set(REPO, { ...repo, refs: { main: OLD } });
  assert.equal(await model.path("old.txt"), undefined);
  assert.deepEqual(await readFile((await model.path("new é.txt"))!, "utf8"), "new");
  assert.equal(await readFile(join(root, "refs", "main"), "utf8"), NEW);
  const moved = await openModelFiles(`hf:${REPO}`, options);
  assert.ok(await moved.path("old.txt"));
  assert.equal(await readFile(join(root, "refs", "main"), "utf8"), OLD);
  // The other revision stays: the cache is the user's.
  assert.deepEqual(await readFile(join(root, "snapshots", NEW, "new é.txt"), "utf8"), "new");
});

test("openModelFiles() takes a commit, asking for the list of files only once it needs it", async (t) => {
  const { server, options, root } = await makeBench(t);
  const model = await openModelFiles(`hf:${REPO}@${OLD}`, options);
  assert.equal(server.requests.length, 0);
  assert.ok(await model.path("old.txt"));
  assert.equal(await model.path("new é.txt"), undefined);
  const lists = server.requests.filter(({ path }) => path.startsWith("/api/models/"));
  assert.equal(lists.length, 1);
  await assert.rejects(readFile(join(root, "refs", "main")), { code: "ENOENT" });
});

test("openModelFiles() takes a revision with slashes", async (t) => {
  const { options, root } = await makeBench(t);
  const model = await openModelFiles(`hf:${REPO}@refs/pr/1`, options);
  assert.ok(await model.path("old.txt"));
  assert.equal(await readFile(join(root, "refs", "refs", "pr", "1"), "utf8"), OLD);
});

test("has() tells which files there are, and fetches none", async (t) => {
  const { server, options, contents } = await makeBench(t);
  const model = await openModelFiles(`hf:${REPO}@${OLD}`, options);
  for (const [name, expected] of [["old.txt", true], ["new é.txt", false], ["1_Pooling", false]] as const) {
    assert.equal(await model.has(name), expected);
  }
  assert.equal(server.requests.length, 1);
  await assert.rejects(contents(), { code: "ENOENT" });
  await assert.rejects(model.has("../x"), { name: "HubError", reason: "invalid" });
});

test("path() marks what a commit lacks as huggingface_hub does", async (t) => {
  const { options, root } = await makeBench(t);
  const model = await openModelFiles(`hf:${REPO}`, options);
  assert.equal(await model.path("1_Pooling/none.json"), undefined);
  assert.equal((await lstat(join(root, ".no_exist", NEW, "1_Pooling", "none.json"))).size, 0);
});

test("openModelFiles() works offline with what the cache has, and names what it lacks", async (t) => {
  const { server, options, root } = await makeBench(t);
  const online = await openModelFiles(`hf:${REPO}`, options);
  await online.path("config.json");
  await online.path("no-such-file.json");
  server.requests.length = 0;
  const offline = { ...options, environment: { ...options.environment, HF_HUB_OFFLINE: "yes" } };
  const model = await openModelFiles(`hf:${REPO}`, offline);
  assert.equal(model.source, `hf:${REPO}@${NEW}`);
  assert.equal(await model.path("config.json"), await online.path("config.json"));
  assert.equal(await model.path("no-such-file.json"), undefined);
  assert.equal(await model.path("model.safetensors"), undefined);
  // With Python's list of the commit it is known that the model has the file.
  const tree = { format_version: 1, files: { "model.safetensors": { size: 1, blob_id: "x" } } };
  await mkdir(join(root, "trees"));
  await writeFile(join(root, "trees", `${NEW}.json`), JSON.stringify(tree));
  const listed = await openModelFiles(`hf:${REPO}`, offline);
  await assert.rejects(listed.path("model.safetensors"), (error) => {
    assert.ok(error instanceof HubError && error.reason === "offline");
    assert.match(error.message, /Cannot read model\.safetensors of hf:owner\/name@.*HF_HUB_OFFLINE is set/);
    return true;
  });
  assert.equal(await listed.path("vocab.txt"), undefined);
  assert.deepEqual(
    await Promise.all(["config.json", "model.safetensors", "vocab.txt"].map((name) => listed.has(name))),
    [true, true, false],
  );
  await writeFile(join(root, "trees", `${NEW}.json`), "{");
  assert.equal(await listed.path("model.safetensors"), undefined);
  await assert.rejects(openModelFiles(`hf:${REPO}@v1`, offline), { name: "HubError", reason: "offline" });
  assert.equal(server.requests.length, 0);
});

test("path() replaces a link whose blob is gone, and a blob that was cut short", async (t) => {
  const { options, root } = await makeBench(t);
  const path = await (await openModelFiles(`hf:${REPO}`, options)).path("model.safetensors");
  const blob = join(root, "blobs", WEIGHTS_ETAG);
  await rm(blob);
  assert.equal(await (await openModelFiles(`hf:${REPO}`, options)).path("model.safetensors"), path);
  assert.deepEqual(await readFile(path!), Buffer.from(WEIGHTS));
  await rm(path!);
  await writeFile(blob, WEIGHTS.subarray(0, 1000));
  assert.equal(await (await openModelFiles(`hf:${REPO}`, options)).path("model.safetensors"), path);
  assert.deepEqual(await readFile(path!), Buffer.from(WEIGHTS));
});

test("path() notices a damaged blob and fetches it anew; offline it names it", async (t) => {
  const { server, options, root, progress } = await makeBench(t);
  const environment = { ...options.environment, HF_HUB_OFFLINE: "1" };
  for (const [name, bytes] of [["config.json", CONFIG], ["model.safetensors", WEIGHTS]] as const) {
    const path = await (await openModelFiles(`hf:${REPO}`, options)).path(name);
    const blob = join(root, "blobs", hubEtag(name, bytes));
    const damaged = Buffer.from(bytes);
    damaged[5]! ^= 1;
    await writeFile(blob, damaged);
    // As a copy of the cache would have it.
    await utimes(blob, 1, 1);
    server.requests.length = progress.length = 0;
    const offline = await openModelFiles(`hf:${REPO}`, { ...options, environment });
    const place = await realpath(blob);
    await assert.rejects(offline.path(name), (error) => {
      assert.ok(error instanceof CorruptFileError);
      assert.equal(
        error.message,
        `Cannot read ${name} of hf:${REPO}@${NEW}: the bytes of ${place} are not those that the hub has; unset ` +
          "HF_HUB_OFFLINE to download the file again, or remove it and copy it here again",
      );
      return true;
    });
    assert.equal(server.requests.length, 0);
    assert.equal(await (await openModelFiles(`hf:${REPO}`, options)).path(name), path);
    assert.deepEqual(await readFile(path!), Buffer.from(bytes));
    assert.equal(progress.at(-1)?.phase, "ready");
    server.requests.length = 0;
    assert.equal(await (await openModelFiles(`hf:${REPO}`, { ...options, environment })).path(name), path);
    assert.equal(server.requests.length, 0);
  }
});

test("path() checks a copy by Python's list of files, and mends it", async (t) => {
  const { options, root } = await makeBench(t);
  const links = [undefined, "1"].map((value) => ({
    ...options,
    environment: { ...options.environment, ...(value && { HF_HUB_DISABLE_SYMLINKS: value }) },
  }));
  const tree = {
    format_version: 1,
    files: {
      "config.json": { size: CONFIG.length, blob_id: CONFIG_ETAG },
      // Git's pointer to a large file has a hash of its own.
      "model.safetensors": { size: WEIGHTS.length, blob_id: "f".repeat(40), lfs_sha256: WEIGHTS_ETAG },
    },
  };
  for (const each of links) {
    for (const [name, bytes] of [["config.json", CONFIG], ["model.safetensors", WEIGHTS]] as const) {
      const path = (await (await openModelFiles(`hf:${REPO}`, each)).path(name))!;
      await mkdir(join(root, "trees"), { recursive: true });
      await writeFile(join(root, "trees", `${NEW}.json`), JSON.stringify(tree));
      await rm(path);
      await writeFile(path, bytes.subarray(1));
      const offline = { ...each, environment: { ...each.environment, HF_HUB_OFFLINE: "1" } };
      await assert.rejects((await openModelFiles(`hf:${REPO}`, offline)).path(name), {
        name: "CorruptFileError",
      });
      assert.equal(await (await openModelFiles(`hf:${REPO}`, each)).path(name), path);
      assert.deepEqual(await readFile(path), Buffer.from(bytes));
      assert.equal(await (await openModelFiles(`hf:${REPO}`, offline)).path(name), path);
    }
  }
});

test("path() replaces a link that leads to a damaged blob of another name", async (t) => {
  const { options, root } = await makeBench(t);
  const model = await openModelFiles(`hf:${REPO}`, options);
  await model.path("config.json");
  const weights = await model.path("model.safetensors");
  const blob = join(root, "blobs", CONFIG_ETAG);
  await writeFile(blob, "{}");
  await rm(weights!);
  await symlink(blob, weights!);
  const path = await (await openModelFiles(`hf:${REPO}`, options)).path("model.safetensors");
  assert.deepEqual(await readFile(path!), Buffer.from(WEIGHTS));
});

test("path() copies where symbolic links are not wanted", async (t) => {
  const { options, contents } = await makeBench(t);
  const environment = { ...options.environment, HF_HUB_DISABLE_SYMLINKS: "1" };
  const model = await openModelFiles(`hf:${REPO}`, { ...options, environment });
  const path = await model.path("1_Pooling/config.json");
  assert.ok((await lstat(path!)).isFile());
  assert.deepEqual(await readFile(path!), CONFIG);
  assert.ok((await contents()).every((name) => !name.endsWith(".tmp")));
});

test("path() refuses names that lead out of the model", async (t) => {
  const { server, options } = await makeBench(t);
  const model = await openModelFiles(`hf:${REPO}`, options);
  server.requests.length = 0;
  for (const name of ["../../x", "/etc/passwd", "a\\b", "C:x", "", "a//b", "./a", "a/..", "a\0b"]) {
    await assert.rejects(model.path(name), { name: "HubError", reason: "invalid" });
  }
  assert.equal(server.requests.length, 0);
});

test("openModelFiles() reports growing bytes of each file, then that it is ready", async (t) => {
  const { options, progress } = await makeBench(t);
  const model = await openModelFiles(`hf:${REPO}`, options);
  assert.equal(progress.length, 0);
  await model.path("model.safetensors");
  const total = WEIGHTS.byteLength;
  const last = { file: "model.safetensors", phase: "ready", bytes: total, total };
  assert.deepEqual(progress.at(-1), last);
  const bytes = progress.map((event) => event.bytes);
  assert.deepEqual(bytes, bytes.toSorted((a, b) => a - b));
  assert.deepEqual(progress.at(0), { ...last, phase: "download", bytes: 0 });
  assert.equal(progress.filter(({ phase }) => phase === "ready").length, 1);
  progress.length = 0;
  await (await openModelFiles(`hf:${REPO}`, options)).path("model.safetensors");
  assert.equal(progress.length, 0);
});

test("openModelFiles() says when the cache cannot be written, or has no room", async (t) => {
  const { server, options, home } = await makeBench(t);
  const blocked = join(home, "file");
  await writeFile(blocked, "");
  const environment = { ...options.environment, HF_HUB_CACHE: blocked };
  const model = await openModelFiles(`hf:${REPO}`, { ...options, environment });
  await assert.rejects(model.path("config.json"), (error) => {
    assert.ok(error instanceof CacheError);
    assert.match(error.message, /Cannot use the cache folder .*file: ENOTDIR; set HF_HUB_CACHE to a folder/);
    return true;
  });
  server.misbehave = ({ method }) =>
    method === "HEAD" ? { headers: { "x-linked-size": "900000000000000" } } : undefined;
  const huge = await openModelFiles(`hf:${REPO}`, options);
  await assert.rejects(huge.path("model.safetensors"), (error) => {
    assert.ok(error instanceof CacheError);
    assert.match(
      error.message,
      /900000000000000 bytes are needed, \d+ are free; free some space, or set HF_HUB_CACHE/,
    );
    return true;
  });
});
