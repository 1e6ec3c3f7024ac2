import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { diskStore, removeUnused } from "../../../src/fl/client/disk_store.ts";
import { hostStore, type HostTensors } from "../../../src/fl/mod.ts";
import { holds } from "../../engine/harness.ts";

async function temporary(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "federa-clients-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "clients");
}

const kept = (...values: number[]): HostTensors =>
  new Map([["control", { shape: [values.length], data: Float32Array.from(values) }]]);

test("diskStore() answers as hostStore() does, whatever is saved and when, bit for bit", async (t) => {
  const folder = await temporary(t);
  const value = fc.oneof(
    fc.float({ noNaN: true }),
    fc.constantFrom(0, -0, 2 ** -149, 3.4028234663852886e38, Infinity),
  );
  const tensors = fc.dictionary(
    fc.stringMatching(/^[a-z.]{1,12}$/),
    fc.array(value, { maxLength: 5 }),
    { maxKeys: 3 },
  ).map((entries): HostTensors =>
    new Map(
      Object.entries(entries).map(([name, values]) => [name, {
        shape: [1, values.length],
        data: Float32Array.from(values),
      }]),
    )
  );
  const saves = fc.array(fc.array(fc.tuple(fc.nat(5), tensors), { maxLength: 4 }), { maxLength: 4 });
  await holds(saves, async (rounds) => {
    let [disk, host] = [diskStore(folder), hostStore()];
    const before = [[disk, host]] as [typeof disk, typeof host][];
    for (const round of rounds) {
      [disk, host] = [await disk.save(new Map(round)), await host.save(new Map(round))];
      before.push([disk, host]);
    }
    // Stores of earlier rounds too: saving changes none.
    for (const [onDisk, onHost] of before) {
      assert.deepEqual(onDisk.clients, onHost.clients);
      const opened = diskStore(folder, onDisk.files);
      for (const client of [...onHost.clients, 99]) {
        const sorted = (each: HostTensors | undefined) =>
          each && [...each].sort(([a], [b]) => a < b ? -1 : 1);
        assert.deepEqual(sorted(await onDisk.load(client)), sorted(await onHost.load(client)));
        assert.deepEqual(await opened.load(client), await onDisk.load(client));
      }
    }
  }, 20);
});

test("diskStore() refuses a file that isn't the one that was written, by client and path", async (t) => {
  const folder = await temporary(t);
  const store = await diskStore(folder).save(new Map([[7, kept(1, 2)], [8, kept(3)]]));
  const { file } = store.files!.find(({ client }) => client === 7)!;
  await writeFile(join(folder, file), "something else");
  await assert.rejects(store.load(7), {
    name: "CorruptFileError",
    message: `Cannot read what client 7 keeps, ${
      join(folder, file)
    }: its SHA-256 isn't the one that it was written with`,
  });
  await rm(join(folder, file));
  await assert.rejects(store.load(7), { name: "CorruptFileError", message: /client 7 keeps, .*: ENOENT/ });
  assert.deepEqual(await store.load(8), kept(3));
});

test("removeUnused() leaves the files of the stores that are still needed", async (t) => {
  const folder = await temporary(t);
  await removeUnused(folder, []);
  const first = await diskStore(folder).save(new Map([[1, kept(1)], [2, kept(2)]]));
  const second = await first.save(new Map([[1, kept(3)]]));
  const third = await second.save(new Map([[1, kept(4)]]));
  assert.equal((await readdir(folder)).length, 4);
  await writeFile(join(folder, `${third.files![0]!.file}.0123456789ab.tmp`), "");
  await removeUnused(folder, [...second.files!, ...third.files!]);
  assert.equal((await readdir(folder)).length, 3);
  assert.deepEqual(await second.load(1), kept(3));
  assert.deepEqual(await third.load(1), kept(4));
  await assert.rejects(first.load(1), { name: "CorruptFileError" });
});

test("diskStore() holds in memory what is asked for alone", async (t) => {
  const folder = await temporary(t);
  /** The most megabytes of a process in which 120 clients save a megabyte each and get it back. */
  const peak = async (store: string) => {
    const code = `
      import { diskStore, hostStore } from "./src/fl/mod.ts";
      let store = ${store};
      for (let client = 0; client < 120; client++) {
        const data = new Float32Array(2 ** 18).fill(client);
        store = await store.save(new Map([[client, new Map([["control", { shape: [data.length], data }]])]]));
        if (client % 16 === 0) globalThis.gc();
      }
      for (const client of store.clients) {
        const { data } = (await store.load(client)).get("control");
        if (data[client] !== client) throw new Error("other values");
        if (client % 16 === 0) globalThis.gc();
      }
      console.log(process.resourceUsage().maxRSS / 1024);`;
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--expose-gc",
      "--import",
      "./scripts/register.mjs",
      "--input-type=module",
      "--eval",
      code,
    ], { cwd: fileURLToPath(new URL("../../..", import.meta.url)) });
    return Number(stdout);
  };
  const onHost = await peak("hostStore()");
  const onDisk = await peak(`diskStore(${JSON.stringify(folder)})`);
  t.diagnostic(
    `peak of 120 clients of 1 MB: ${onHost.toFixed(0)} MB in memory, ${onDisk.toFixed(0)} MB on disk`,
  );
  assert.ok(onDisk < onHost - 60, `${onDisk} MB on disk, ${onHost} MB in memory`);
});
