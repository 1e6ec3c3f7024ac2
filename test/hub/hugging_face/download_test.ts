import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { CorruptFileError } from "../../../src/data/errors.ts";
import { HubError } from "../../../src/hub/errors.ts";
import { openModelFiles } from "../../../src/hub/mod.ts";
import { hubEtag, type HubRequest, type Misbehaviour } from "../../support/hub_server.ts";
import { deadName } from "../dead_name.ts";
import { type HubBench, makeBench, NEW, noise, REPO, WEIGHTS } from "./bench.ts";

const NAME = "model.safetensors";
const ETAG = hubEtag(NAME, WEIGHTS);

function isDownload({ method, host, path }: HubRequest): boolean {
  return method === "GET" && (host === "store" || path.startsWith("/api/resolve-cache/"));
}

/** Misbehaves in the given ways, one a download, and then no more. */
function misbehaveInTurn({ server }: HubBench, turns: readonly Misbehaviour[]): void {
  const left = [...turns];
  server.misbehave = (request) => isDownload(request) ? left.shift() : undefined;
}

function ranges({ server }: HubBench): (string | undefined)[] {
  return server.requests.filter(isDownload).map(({ range }) => range);
}

async function read({ options }: HubBench, name = NAME): Promise<Buffer> {
  return await readFile((await (await openModelFiles(`hf:${REPO}`, options)).path(name))!);
}

async function rmCache({ home }: HubBench): Promise<void> {
  await rm(join(home, "hub"), { recursive: true, force: true });
}

async function blobs({ root }: HubBench): Promise<string[]> {
  return await readdir(join(root, "blobs"));
}

/** Bytes of the one partial download in the cache. */
async function partialBytes(bench: HubBench): Promise<number> {
  const [part, ...rest] = await blobs(bench);
  assert.deepEqual(rest, []);
  assert.match(part!, new RegExp(`^${ETAG}\\.federa-[0-9a-f]{8}-\\d+-[0-9a-f]{8}\\.incomplete$`));
  return (await stat(join(bench.root, "blobs", part!))).size;
}

test("path() goes on where the store ended too early, as often as it gets ahead", async (t) => {
  const bench = await makeBench(t);
  misbehaveInTurn(bench, [{ endAfter: 1000 }, { endAfter: 70_000 }, { cutAfter: 0 }, { drop: true }]);
  assert.deepEqual(await read(bench), Buffer.from(WEIGHTS));
  assert.deepEqual(ranges(bench), [
    undefined,
    "bytes=1000-",
    "bytes=71000-",
    "bytes=71000-",
    "bytes=71000-",
  ]);
  assert.deepEqual(await blobs(bench), [ETAG]);
});

test("path() goes on where a connection was cut", async (t) => {
  const bench = await makeBench(t);
  misbehaveInTurn(bench, [{ cutAfter: 200_000 }, { cutAfter: 50_000 }]);
  assert.deepEqual(await read(bench), Buffer.from(WEIGHTS));
  // Bytes that arrived with the cut may not have been read.
  const [first, ...rest] = ranges(bench).map((range) => Number(range?.slice(6, -1) ?? 0));
  assert.equal(first, 0);
  assert.equal(rest.length, 2);
  assert.ok(rest[0]! <= 200_000 && rest[1]! >= rest[0]! && rest[1]! <= rest[0]! + 50_000, `${rest}`);
  assert.deepEqual(await blobs(bench), [ETAG]);
});

test("path() starts anew when the server ignores the range, refuses it, or sends another", async (t) => {
  const ways: Misbehaviour[] = [
    { ignoreRange: true },
    { status: 416 },
    { headers: { "content-range": "bytes 5-9/10" } },
  ];
  for (const way of ways) {
    const bench = await makeBench(t);
    misbehaveInTurn(bench, [{ endAfter: 100_000 }, way]);
    assert.deepEqual(await read(bench), Buffer.from(WEIGHTS));
    const asked = way.ignoreRange ? [] : [undefined];
    assert.deepEqual(ranges(bench), [undefined, "bytes=100000-", ...asked]);
  }
});

test("path() is right wherever connections are cut", async (t) => {
  const bench = await makeBench(t);
  // More attempts than cuts: a cut may take with it all that an attempt has brought.
  bench.options.patience = { ...bench.options.patience, attempts: 10, longestWait: 2 };
  const way = fc.record({
    at: fc.integer({ min: 1, max: 999 }),
    kind: fc.constantFrom<keyof Misbehaviour>("cutAfter", "endAfter"),
    ignoreRange: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(way, { maxLength: 6 }),
      fc.integer({ min: 0, max: 1000 }),
      async (ways, size) => {
        const bytes = noise(size);
        const files = { [NAME]: bytes, "small.json": bytes };
        bench.server.repos.set(REPO, { commits: { [NEW]: files }, refs: { main: NEW } });
        await rmCache(bench);
        for (const name of Object.keys(files)) {
          misbehaveInTurn(bench, ways.map(({ at, kind, ignoreRange }) => ({ [kind]: at, ignoreRange })));
          assert.deepEqual(await read(bench, name), Buffer.from(bytes));
        }
        const parts = (await blobs(bench)).filter((entry) => entry.endsWith(".incomplete"));
        assert.deepEqual(parts, []);
      },
    ),
    { numRuns: 25 },
  );
});

test("path() ends in the right bytes or a named error, whatever the servers do", async (t) => {
  const bench = await makeBench(t);
  const bytes = noise(700);
  const files = { [NAME]: bytes, "small.json": bytes };
  bench.server.repos.set(REPO, { commits: { [NEW]: files }, refs: { main: NEW } });
  const wrong: fc.Arbitrary<Misbehaviour | undefined> = fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    fc.record({ status: fc.constantFrom(200, 204, 206, 301, 304, 400, 403, 404, 416, 429, 500, 503) }),
    fc.record({
      headers: fc.constantFrom({ "retry-after": "0" }, { "content-range": "x" }),
      status: fc.constant(429),
    }),
    fc.constantFrom<Misbehaviour>({ drop: true }, { alter: true }, { ignoreRange: true }, { text: "{}" }),
    fc.constantFrom<Misbehaviour>({ without: ["x-repo-commit"] }, {
      headers: { "content-encoding": "gzip" },
    }),
    fc.record({ length: fc.integer({ min: 1, max: 1400 }) }),
    fc.record({ cutAfter: fc.integer({ min: 0, max: 699 }) }),
    fc.record({ endAfter: fc.integer({ min: 0, max: 699 }) }),
    fc.record({ stallAfter: fc.integer({ min: 0, max: 699 }) }),
  );
  const patience = { attempts: 3, firstWait: 1, longestWait: 20, longestSilence: 100 };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.keys(files)),
      fc.array(wrong, { maxLength: 9 }),
      async (name, ways) => {
        await rmCache(bench);
        bench.server.misbehave = () => ways.shift();
        try {
          const model = await openModelFiles(`hf:${REPO}`, { ...bench.options, patience });
          const path = await model.path(name);
          assert.ok(path !== undefined);
          assert.deepEqual(await readFile(path), Buffer.from(bytes));
        } catch (error) {
          assert.ok(error instanceof HubError || error instanceof CorruptFileError, String(error));
        }
        bench.server.misbehave = () => undefined;
        assert.deepEqual(await read(bench, name), Buffer.from(bytes));
      },
    ),
    { numRuns: 40 },
  );
});

test("path() leaves what it has when it gives up, and the next call goes on there", async (t) => {
  const bench = await makeBench(t);
  bench.server.misbehave = (request) =>
    isDownload(request) ? (request.range ? { drop: true } : { endAfter: 120_000 }) : undefined;
  await assert.rejects(read(bench), (error) => {
    assert.ok(error instanceof HubError && error.reason === "offline");
    assert.match(error.message, /Cannot download model\.safetensors of hf:owner\/name: the connection to /);
    return true;
  });
  // One attempt brought bytes, three more nothing.
  assert.equal(ranges(bench).length, 4);
  assert.equal(await partialBytes(bench), 120_000);
  bench.server.misbehave = () => undefined;
  bench.server.requests.length = 0;
  bench.progress.length = 0;
  assert.deepEqual(await read(bench), Buffer.from(WEIGHTS));
  assert.deepEqual(ranges(bench), ["bytes=120000-"]);
  assert.equal(bench.progress[0]!.bytes, 120_000);
  assert.deepEqual(await blobs(bench), [ETAG]);
});

test("path() gives up on a server that begins anew each time and never gets further", {
  timeout: 30_000,
}, async (t) => {
  const bench = await makeBench(t);
  bench.server.misbehave = (request) =>
    isDownload(request) ? { ignoreRange: true, endAfter: 120_000 } : undefined;
  await assert.rejects(read(bench), {
    name: "HubError",
    message: /the connection ended after 120000 of 300007 bytes; try again, the download goes on there/,
  });
  assert.equal(ranges(bench).length, 4);
});

test("path() asks for nothing when an interrupted download had its last byte", async (t) => {
  const bench = await makeBench(t);
  await mkdir(join(bench.root, "blobs"), { recursive: true });
  await writeFile(join(bench.root, "blobs", `${ETAG}.federa-${await deadName()}.incomplete`), WEIGHTS);
  assert.deepEqual(await read(bench), Buffer.from(WEIGHTS));
  assert.deepEqual(ranges(bench), []);
});

test("path() fetches anew when what an earlier process left is wrong, and leaves Python's alone", async (t) => {
  const bench = await makeBench(t);
  const folder = join(bench.root, "blobs");
  await mkdir(folder, { recursive: true });
  const python = `${ETAG}.12345678.incomplete`;
  const old = `${"0".repeat(64)}.federa-00000000.incomplete`;
  await writeFile(join(folder, `${ETAG}.federa-${await deadName()}.incomplete`), new Uint8Array(5000));
  await writeFile(join(folder, `${ETAG}.federa-${await deadName()}.incomplete`), new Uint8Array(50));
  await writeFile(join(folder, python), "x");
  await writeFile(join(folder, old), "x");
  const longAgo = new Date(Date.now() - 8 * 24 * 3600 * 1000);
  await utimes(join(folder, old), longAgo, longAgo);
  assert.deepEqual(await read(bench), Buffer.from(WEIGHTS));
  assert.deepEqual(ranges(bench), ["bytes=5000-", undefined]);
  assert.deepEqual((await blobs(bench)).sort(), [ETAG, python].sort());
});

for (
  const [name, wrong, message] of [
    [
      "altered bytes",
      { alter: true },
      /don't match the hub's hash, expected 300007 bytes with hash [0-9a-f]{64}, got/,
    ],
    ["too few bytes", { length: 299_000 }, /127.* announces 299000 bytes, the hub says 300007/],
    ["too many bytes", { length: 301_000 }, /announces 301000 bytes, the hub says 300007/],
  ] as [string, Misbehaviour, RegExp][]
) {
  test(`path() refuses ${name} and keeps none of them`, async (t) => {
    const bench = await makeBench(t);
    bench.server.misbehave = (request) => isDownload(request) ? wrong : undefined;
    await assert.rejects(read(bench), (error) => {
      assert.ok(error instanceof CorruptFileError);
      assert.match(error.message, message);
      return true;
    });
    assert.deepEqual(await bench.contents(), []);
    bench.server.misbehave = () => undefined;
    assert.deepEqual(await read(bench), Buffer.from(WEIGHTS));
  });
}

test("path() stops reading when more bytes arrive than the hub promised", async (t) => {
  const bench = await makeBench(t);
  // The size of the answer is not announced.
  bench.server.misbehave = (request) =>
    isDownload(request) ? { length: 400_000, endAfter: 399_999 } : undefined;
  await assert.rejects(read(bench), {
    name: "CorruptFileError",
    message: /more bytes arrive than the 300007 that the hub promised/,
  });
  assert.deepEqual(await bench.contents(), []);
});

test("path() takes no more of a file of unknown length than such a file may have", async (t) => {
  const bench = await makeBench(t);
  let sent = 0;
  // No size in the headers before it, and none with it: more than 64 MiB of JSON arrive.
  bench.server.misbehave = (request) => {
    if (request.method === "HEAD") return { headers: { "content-encoding": "gzip" } };
    if (!isDownload(request)) return undefined;
    sent++;
    return { length: (64 << 20) + 2, endAfter: (64 << 20) + 1 };
  };
  await assert.rejects(read(bench, "config.json"), {
    name: "CorruptFileError",
    message:
      "Cannot download config.json of hf:owner/name: the hub states no size, and more than the 67108864 bytes that " +
      "such a file may have arrive",
  });
  assert.equal(sent, 1);
  assert.deepEqual(await bench.contents(), []);
});

test("path() asks for no file that is stated to be larger than such a file may be", async (t) => {
  const bench = await makeBench(t);
  bench.server.misbehave = ({ method, path }) =>
    method === "HEAD" && path.includes("blob-at") ? { headers: { "content-length": "67108865" } } : undefined;
  await assert.rejects(read(bench, "config.json"), {
    name: "CorruptFileError",
    message: /the hub states 67108865 bytes, and such a file may have at most 67108864$/,
  });
  assert.equal(bench.server.requests.filter(isDownload).length, 0);
});

test("path() checks a small file by the hash of its git blob", async (t) => {
  const bench = await makeBench(t);
  bench.server.misbehave = (request) => isDownload(request) ? { alter: true } : undefined;
  await assert.rejects(read(bench, "config.json"), {
    name: "CorruptFileError",
    message:
      /config\.json of hf:owner\/name: the bytes don't match the hub's hash.* with hash [0-9a-f]{40}, got/,
  });
  assert.deepEqual(await bench.contents(), []);
});

test("path() goes on after a body that falls silent", { timeout: 30_000 }, async (t) => {
  const bench = await makeBench(t);
  misbehaveInTurn(bench, [{ stallAfter: 5000 }]);
  bench.options.patience = { ...bench.options.patience, longestSilence: 200 };
  assert.deepEqual(await read(bench), Buffer.from(WEIGHTS));
  assert.deepEqual(ranges(bench), [undefined, "bytes=5000-"]);
});

test("path() asks the hub for a new address when the store's has run out", async (t) => {
  const bench = await makeBench(t);
  misbehaveInTurn(bench, [{ cutAfter: 10 }, { status: 403 }, { status: 404 }]);
  assert.deepEqual(await read(bench), Buffer.from(WEIGHTS));
  bench.server.misbehave = ({ host }) => host === "store" ? { status: 403 } : undefined;
  await rmCache(bench);
  await assert.rejects(read(bench), { reason: "server", message: /the file store 127.* answers 403/ });
});

test("path() takes files of unknown length, and of none", async (t) => {
  const bench = await makeBench(t);
  const files = { "empty.txt": new Uint8Array(), "empty.bin": new Uint8Array(), "text.json": noise(5000) };
  bench.server.repos.set(REPO, { commits: { [NEW]: files }, refs: { main: NEW } });
  bench.server.misbehave = ({ method, path }) =>
    path.includes("text.json") && method === "HEAD"
      ? { headers: { "content-encoding": "gzip" } }
      : path.includes("text.json") && method === "GET"
      ? { endAfter: 5000, ignoreRange: true }
      : undefined;
  for (const [name, bytes] of Object.entries(files)) {
    assert.deepEqual(await read(bench, name), Buffer.from(bytes));
  }
  assert.equal(bench.progress.find(({ file }) => file === "text.json")!.total, undefined);
});

test("path() ends with the reason of its signal and leaves what it has", async (t) => {
  const bench = await makeBench(t);
  const controller = new AbortController();
  misbehaveInTurn(bench, [{ stallAfter: 9000 }]);
  bench.options.signal = controller.signal;
  bench.options.onProgress = ({ bytes }) => {
    if (bytes === 9000) controller.abort(new Error("enough"));
  };
  await assert.rejects(read(bench), { message: "enough" });
  assert.equal(await partialBytes(bench), 9000);
});

function start({ options }: HubBench, name = NAME): ChildProcess {
  const register = join(import.meta.dirname, "../../../scripts/register.mjs");
  const worker = join(import.meta.dirname, "download_worker.ts");
  return spawn(process.execPath, ["--import", register, worker, `hf:${REPO}`, name], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...options.environment },
  });
}

test("path() gives all processes the right bytes when they ask at the same time", async (t) => {
  const bench = await makeBench(t);
  bench.server.misbehave = (request) => isDownload(request) ? { delay: 500 } : undefined;
  const children = [1, 2, 3].map(() => start(bench));
  const here = [1, 2].map(() => read(bench));
  const codes = await Promise.all(children.map(async (child) => (await once(child, "close"))[0] as number));
  assert.deepEqual(codes, [0, 0, 0]);
  for (const bytes of await Promise.all(here)) assert.deepEqual(bytes, Buffer.from(WEIGHTS));
  assert.deepEqual(await blobs(bench), [ETAG]);
  assert.ok(
    ranges(bench).every((range) => range === undefined),
    "nobody takes over what another is working on",
  );
});

test("path() leaves another machine's download alone until nothing has come for long", async (t) => {
  const bench = await makeBench(t);
  const folder = join(bench.root, "blobs");
  await mkdir(folder, { recursive: true });
  const part = join(folder, `${ETAG}.federa-00000000-1-00000000.incomplete`);
  await writeFile(part, WEIGHTS.subarray(0, 5000));
  assert.deepEqual(await read(bench), Buffer.from(WEIGHTS));
  assert.deepEqual((await blobs(bench)).length, 2);
  await rm(join(folder, ETAG));
  const before = new Date(Date.now() - 11 * 60 * 1000);
  await utimes(part, before, before);
  assert.deepEqual(await read(bench), Buffer.from(WEIGHTS));
  assert.deepEqual(await blobs(bench), [ETAG]);
  assert.deepEqual(ranges(bench), [undefined, "bytes=5000-"]);
});

test("path() of several processes takes over from a killed one, each what it can", async (t) => {
  const bench = await makeBench(t);
  const folder = join(bench.root, "blobs");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${ETAG}.federa-${await deadName()}.incomplete`), WEIGHTS.subarray(0, 9000));
  bench.server.misbehave = (request) => isDownload(request) ? { delay: 300 } : undefined;
  const codes = await Promise.all(
    [1, 2, 3].map(async () => (await once(start(bench), "close"))[0] as number),
  );
  assert.deepEqual(codes, [0, 0, 0]);
  assert.deepEqual(await readFile(join(folder, ETAG)), Buffer.from(WEIGHTS));
  assert.deepEqual(await blobs(bench), [ETAG]);
  assert.equal(
    ranges(bench).filter((range) => range === "bytes=9000-").length,
    1,
    "exactly one takes it over",
  );
});

test("path() takes over from a process that was killed, at once and where it was", async (t) => {
  const bench = await makeBench(t);
  misbehaveInTurn(bench, [{ stallAfter: 64_000 }]);
  const child = start(bench);
  const started = Date.now();
  const blobFolder = join(bench.root, "blobs");
  while (Date.now() - started < 20_000) {
    const [part] = await readdir(blobFolder).catch(() => []);
    if (part !== undefined && (await stat(join(blobFolder, part))).size === 64_000) break;
    await delay(20);
  }
  child.kill("SIGKILL");
  await once(child, "close");
  assert.equal(await partialBytes(bench), 64_000);
  const killed = performance.now();
  assert.deepEqual(await read(bench), Buffer.from(WEIGHTS));
  assert.ok(performance.now() - killed < 5000);
  assert.deepEqual(ranges(bench), [undefined, "bytes=64000-"]);
  assert.deepEqual(await blobs(bench), [ETAG]);
});
