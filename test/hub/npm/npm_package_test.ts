import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { CacheError, PackageUnavailableError } from "../../../src/hub/errors.ts";
import { CorruptFileError } from "../../../src/data/errors.ts";
import { without } from "../../support/tools.ts";
import { deadName } from "../dead_name.ts";
import { npmPack } from "../../../src/hub/npm/npm_pack.ts";
import {
  fetchNpmPackage,
  type NpmPackage,
  npmPackageFolder,
  type NpmPackageOptions,
  type NpmPackageProgress,
  readNpmPackage,
} from "../../../src/hub/npm/npm_package.ts";

const skip = without("npm");
const FAKE_NPM = join(import.meta.dirname, "fake_npm.mjs");
const NAME = "@some/package";

let folder: string;
let tarball: string;
let pkg: NpmPackage;

// The tarball is made by npm itself from a local folder, so that the reader meets the real format.
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), "federa-npm-"));
  const source = join(folder, "source");
  await mkdir(join(source, "dist"), { recursive: true });
  await writeFile(join(source, "package.json"), JSON.stringify({ name: NAME, version: "1.0.0" }));
  await writeFile(join(source, "dist", "ten.bin"), Uint8Array.from({ length: 10 }, (_, index) => index));
  await writeFile(join(source, "dist", "empty.txt"), "");
  await writeFile(join(source, "noise.txt"), Array.from({ length: 5000 }, (_, i) => Math.sin(i)).join());
  execFileSync("npm", ["pack", "--silent", `--pack-destination=${folder}`], { cwd: source });
  tarball = join(folder, "some-package-1.0.0.tgz");
  const bytes = await readFile(tarball);
  const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
  pkg = { name: NAME, version: "1.0.0", integrity, size: bytes.byteLength };
});

after(async () => {
  if (skip === false) await rm(folder, { recursive: true });
});

interface Bench {
  options: NpmPackageOptions & { cacheFolder: string };
  /** Runs of npm so far. */
  numRuns: () => Promise<number>;
  /** Everything in the cache, by path relative to it. */
  contents: () => Promise<string[]>;
}

async function makeBench(t: TestContext, mode: string): Promise<Bench> {
  const cacheFolder = await mkdtemp(join(folder, "cache-"));
  t.after(() => rm(cacheFolder, { recursive: true, force: true }));
  const log = `${cacheFolder}.log`;
  await writeFile(log, "");
  return {
    options: { cacheFolder, npmCommand: [process.execPath, FAKE_NPM, mode, tarball, log] },
    numRuns: async () => (await readFile(log, "utf8")).split("\n").length - 1,
    contents: async () =>
      (await readdir(cacheFolder, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile() || entry.name.startsWith("."))
        .map((entry) => join(entry.parentPath, entry.name).slice(cacheFolder.length + 1))
        .sort(),
  };
}

const KEPT = [join("npm", "@some+package@1.0.0", "package.tgz")];

test("fetchNpmPackage() downloads once, then reads the cache", { skip }, async (t) => {
  const { options, numRuns, contents } = await makeBench(t, "work");
  const expected = await readFile(tarball);
  assert.deepEqual(Buffer.from(await fetchNpmPackage(pkg, options)), expected);
  assert.deepEqual(Buffer.from(await fetchNpmPackage(pkg, options)), expected);
  assert.equal(await numRuns(), 1);
  assert.deepEqual(await contents(), KEPT);
});

test("fetchNpmPackage() asks npm for the tarball alone, without scripts", { skip }, async (t) => {
  const { options } = await makeBench(t, "work");
  await fetchNpmPackage(pkg, options);
  const call = await readFile(options.npmCommand!.at(-1)!, "utf8");
  assert.match(call, /^pack .*--ignore-scripts .* -- @some\/package@1\.0\.0$/m);
});

for (const mode of ["truncate", "alter"]) {
  test(`fetchNpmPackage() refuses a download when npm does "${mode}"`, { skip }, async (t) => {
    const { options, contents } = await makeBench(t, mode);
    await assert.rejects(fetchNpmPackage(pkg, options), (error) => {
      assert(error instanceof CorruptFileError);
      assert(error.message.includes(pkg.integrity), error.message);
      assert.match(error.message, /got \d+ bytes with sha512-/);
      return true;
    });
    assert.deepEqual(await contents(), []);
  });
}

const FAILURES: [mode: string, reason: string, message: RegExp][] = [
  ["ENOTFOUND", "offline", /does not answer \(ENOTFOUND\); connect/],
  ["ECONNREFUSED", "offline", /does not answer/],
  ["ETIMEDOUT", "offline", /does not answer/],
  ["E404", "not-found", /@some\/package@1\.0\.0: the npm registry has no such version/],
  ["ETARGET", "not-found", /no such version/],
  ["EWEIRD", "npm", /npm ended with status 1: npm error code EWEIRD/],
  ["crash", "npm", /npm ended with status 7: TypeError: something inside npm/],
  ["die", "npm", /npm was ended by SIGKILL/],
  ["nothing", "npm", /should have left 1 tarball, got 0/],
];
for (const [mode, reason, message] of FAILURES) {
  test(`fetchNpmPackage() says why when npm does "${mode}" and leaves nothing`, { skip }, async (t) => {
    const { options, contents } = await makeBench(t, mode);
    await assert.rejects(fetchNpmPackage(pkg, options), (error) => {
      assert(error instanceof PackageUnavailableError);
      assert.equal(error.reason, reason);
      assert.match(error.message, message);
      return true;
    });
    assert.deepEqual(await contents(), []);
  });
}

test("fetchNpmPackage() tells npm's checksum and write errors apart", { skip }, async (t) => {
  await assert.rejects(fetchNpmPackage(pkg, (await makeBench(t, "EINTEGRITY")).options), CorruptFileError);
  await assert.rejects(fetchNpmPackage(pkg, (await makeBench(t, "ENOSPC")).options), CacheError);
});

test("fetchNpmPackage() says that npm is missing", { skip }, async (t) => {
  const { options } = await makeBench(t, "work");
  const npmCommand = [join(folder, "no-such-npm")];
  await assert.rejects(fetchNpmPackage(pkg, { ...options, npmCommand }), {
    name: "PackageUnavailableError",
    message: /npm cannot be started \(ENOENT\)/,
  });
});

test("fetchNpmPackage() fetches anew when the cached file is altered or truncated", { skip }, async (t) => {
  const { options, numRuns } = await makeBench(t, "work");
  const expected = await fetchNpmPackage(pkg, options);
  const cached = join(npmPackageFolder(pkg, options.cacheFolder), "package.tgz");
  const altered = Uint8Array.from(expected);
  altered[20]! ^= 255;
  for (const bad of [altered, expected.subarray(0, 50), new Uint8Array()]) {
    await writeFile(cached, bad);
    assert.deepEqual(await fetchNpmPackage(pkg, options), expected);
    assert.deepEqual(await readFile(cached), Buffer.from(expected));
  }
  assert.equal(await numRuns(), 4);
});

test(
  "fetchNpmPackage() removes a bad cached file even if there is no new one to be had",
  { skip },
  async (t) => {
    const { options, contents } = await makeBench(t, "ENOTFOUND");
    await mkdir(npmPackageFolder(pkg, options.cacheFolder), { recursive: true });
    await writeFile(join(npmPackageFolder(pkg, options.cacheFolder), "package.tgz"), "bad");
    await assert.rejects(fetchNpmPackage(pkg, options), PackageUnavailableError);
    assert.deepEqual(await contents(), []);
  },
);

test(
  "fetchNpmPackage() keeps one version of a package and clears away what dead processes left",
  { skip },
  async (t) => {
    const { options, contents } = await makeBench(t, "work");
    const root = join(options.cacheFolder, "npm");
    const old = new Date(Date.now() - 25 * 60 * 60 * 1000);
    // No process has this number.
    const dead = `.download-${await deadName()}`;
    for (
      const name of [
        "@some+package@0.9.0",
        "@some+package-two@1.0.0",
        ".download-old",
        ".download-young",
        dead,
      ]
    ) {
      await mkdir(join(root, name), { recursive: true });
      await writeFile(join(root, name, "package.tgz"), "x");
    }
    await utimes(join(root, ".download-old"), old, old);
    await fetchNpmPackage(pkg, options);
    assert.deepEqual(await contents(), [
      join("npm", ".download-young"),
      join("npm", ".download-young", "package.tgz"),
      join("npm", "@some+package-two@1.0.0", "package.tgz"),
      ...KEPT,
    ]);
  },
);

test("fetchNpmPackage() reports growing bytes, then that it is ready", { skip }, async (t) => {
  const { options } = await makeBench(t, "slow");
  const seen: NpmPackageProgress[] = [];
  await fetchNpmPackage(pkg, { ...options, onProgress: (progress) => seen.push(progress) });
  const bytes = seen.map((progress) => progress.bytes);
  assert.deepEqual(seen.at(-1), { package: pkg, phase: "ready", bytes: pkg.size });
  assert.deepEqual(bytes, bytes.toSorted((a, b) => a - b));
  assert(
    bytes.some((count) => count > 0 && count < pkg.size),
    `no step between 0 and ${pkg.size} in ${bytes}`,
  );
  assert(seen.slice(0, -1).every(({ phase }) => phase === "download"));
});

test("fetchNpmPackage() ends npm and leaves nothing when aborted", { skip }, async (t) => {
  const { options, numRuns, contents } = await makeBench(t, "hang");
  const controller = new AbortController();
  const fetching = fetchNpmPackage(pkg, { ...options, signal: controller.signal });
  const started = Date.now();
  while (await numRuns() === 0 && Date.now() - started < 20_000) await delay(20);
  controller.abort(new Error("enough"));
  await assert.rejects(fetching, /^Error: enough$/);
  assert.deepEqual(await contents(), []);
});

test("fetchNpmPackage() works in several processes at once", { skip }, async (t) => {
  const { options, contents } = await makeBench(t, "slow");
  const script = `
    const { fetchNpmPackage } = await import(${
    JSON.stringify(join(import.meta.dirname, "../../../src/hub/npm/npm_package.ts"))
  });
    const bytes = await fetchNpmPackage(${JSON.stringify(pkg)}, ${JSON.stringify(options)});
    process.exitCode = bytes.byteLength === ${pkg.size} ? 0 : 1;`;
  const register = join(import.meta.dirname, "../../../scripts/register.mjs");
  const children = Array.from(
    { length: 3 },
    () =>
      spawn(process.execPath, ["--import", register, "--input-type=module", "--eval", script], {
        stdio: "inherit",
      }),
  );
  const codes = await Promise.all(children.map(async (child) => (await once(child, "close"))[0] as number));
  assert.deepEqual(codes, [0, 0, 0]);
  assert.deepEqual(await contents(), KEPT);
});

test("fetchNpmPackage() leaves no partial package when its process is killed, and the next one succeeds", {
  skip,
}, async (t) => {
  const { options, numRuns } = await makeBench(t, "slow");
  const script = `
    const { fetchNpmPackage } = await import(${
    JSON.stringify(join(import.meta.dirname, "../../../src/hub/npm/npm_package.ts"))
  });
    await fetchNpmPackage(${JSON.stringify(pkg)}, ${JSON.stringify(options)});`;
  const register = join(import.meta.dirname, "../../../scripts/register.mjs");
  const child = spawn(process.execPath, ["--import", register, "--input-type=module", "--eval", script]);
  const started = Date.now();
  while (await numRuns() === 0 && Date.now() - started < 20_000) await delay(20);
  child.kill("SIGKILL");
  await once(child, "close");
  assert(!existsSync(join(npmPackageFolder(pkg, options.cacheFolder), "package.tgz")));
  assert.equal((await fetchNpmPackage(pkg, options)).byteLength, pkg.size);
});

test("fetchNpmPackage() says when the cache folder cannot be used", { skip }, async (t) => {
  const { options } = await makeBench(t, "work");
  // A file in the way refuses even a root user, whom permissions do not stop.
  const blocked = join(options.cacheFolder, "file");
  await writeFile(blocked, "");
  await assert.rejects(fetchNpmPackage(pkg, { ...options, cacheFolder: blocked }), (error) => {
    assert(error instanceof CacheError);
    assert.match(error.message, /Cannot use the cache folder .*file: ENOTDIR; set XDG_CACHE_HOME/);
    return true;
  });
});

test("fetchNpmPackage() refuses a package that is not pinned", { skip }, async () => {
  for (const integrity of ["", "sha1-abc", pkg.integrity.slice(0, -3)]) {
    await assert.rejects(fetchNpmPackage({ ...pkg, integrity }), TypeError);
  }
});

test("npmPackageFolder() refuses names that lead elsewhere", { skip }, () => {
  for (
    const [name, version] of [
      ["../x", "1.0.0"],
      ["..", "1.0.0"],
      ["a/b", "1.0.0"],
      ["a", "../1"],
      ["a", ""],
      ["--x", "1.0.0"],
      ["a\0", "1.0.0"],
    ]
  ) {
    assert.throws(() => npmPackageFolder({ ...pkg, name: name!, version: version! }), TypeError);
  }
});

test("npmPack() never starts npm for what is no package of a registry", { skip }, async (t) => {
  const { options, numRuns } = await makeBench(t, "work");
  const names = ["--x", "-g", ".", "./x", "a/b", "file:.", "x.tgz", "git+ssh://host/x", "~/x", "a b"];
  for (const name of names) {
    await assert.rejects(npmPack({ name, version: "1.0.0" }, options.cacheFolder, options), {
      name: "TypeError",
      message: /^Cannot use npm package: expected a name like @scope\/name and a version like 1\.0\.0, got "/,
    });
  }
  await assert.rejects(npmPack({ name: "x", version: "file:." }, options.cacheFolder, options), TypeError);
  assert.equal(await numRuns(), 0);
});

test("npm takes what stands after -- for a package, and packs no folder", { skip }, async () => {
  const packed = join(folder, "project");
  await mkdir(packed);
  await writeFile(join(packed, "package.json"), JSON.stringify({ name: "project", version: "1.0.0" }));
  await writeFile(join(packed, ".env"), "SECRET=1");
  const result = spawnSync("npm", ["pack", "--offline", "--json", "--", "--x@1.0.0"], {
    cwd: packed,
    encoding: "utf8",
  });
  assert.notEqual(result.status, 0);
  assert.deepEqual((await readdir(packed)).sort(), [".env", "package.json"]);
});

test("readNpmPackage() gives the chosen files by their path in the package", { skip }, async (t) => {
  const { options } = await makeBench(t, "work");
  const files = await readNpmPackage(pkg, (path) => path.startsWith("dist/"), options);
  assert.deepEqual([...files.keys()].sort(), ["dist/empty.txt", "dist/ten.bin"]);
  assert.deepEqual([...files.get("dist/ten.bin")!], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(files.get("dist/empty.txt")!.byteLength, 0);
});

test("fetchNpmPackage() understands the real npm, with no registry at all and with one that knows nothing", {
  skip,
}, async (t) => {
  const { options, contents } = await makeBench(t, "work");
  const server = createServer((_request, response) => response.writeHead(404).end("{}"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const registry = `--registry=http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await assert.rejects(fetchNpmPackage(pkg, { ...options, npmCommand: ["npm", registry] }), {
    reason: "not-found",
  });
  server.close();
  await once(server, "close");
  await assert.rejects(fetchNpmPackage(pkg, { ...options, npmCommand: ["npm", registry] }), {
    reason: "offline",
  });
  assert.deepEqual(await contents(), []);
});
