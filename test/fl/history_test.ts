import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { HistoryWriter, readHistory } from "../../src/fl/history.ts";

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

let folder: string;
let count = 0;
const freshPath = (): string => join(folder, `${count++}.jsonl`);
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "federa-history-"));
});
after(() => rm(folder, { recursive: true }));

describe("HistoryWriter", () => {
  it("HistoryWriter writes one JSON object a line, at once, and continues a file", async () => {
    const path = freshPath();
    const first = new HistoryWriter(path);
    first.append({ round: 1, loss: 0.5, note: "a\nb é" });
    assert.equal(await readFile(path, "utf8"), '{"round":1,"loss":0.5,"note":"a\\nb é"}\n');
    first.close();
    first.close();
    {
      using second = new HistoryWriter(path);
      second.append({ round: 2 });
    }
    assert.deepEqual(await readHistory(path), {
      records: [{ round: 1, loss: 0.5, note: "a\nb é" }, { round: 2 }],
      tornLine: undefined,
    });
  });

  it("HistoryWriter gives back any JSON records", async () => {
    const value = fc.jsonValue().filter((v) => !JSON.stringify(v).includes("-0"));
    const record = fc.dictionary(fc.string(), value, { noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 5 }), async (records) => {
        const path = freshPath();
        using history = new HistoryWriter(path);
        for (const each of records) history.append(each);
        const expected: unknown = JSON.parse(JSON.stringify(records));
        assert.deepEqual((await readHistory(path)).records, expected);
      }),
      { numRuns: 50 },
    );
  });

  it("HistoryWriter continues after a line torn at any byte", async () => {
    const whole = '{"round":1}\n';
    const lineBytes = Buffer.from('{"round":2,"note":"é","nested":{"a":[1]}}');
    for (let cut = 0; cut <= lineBytes.length; cut++) {
      const path = freshPath();
      await writeFile(path, Buffer.concat([Buffer.from(whole), lineBytes.subarray(0, cut)]));
      const before = await readHistory(path);
      const complete = cut === lineBytes.length;
      assert.deepEqual(before.records.map(({ round }) => round), complete ? [1, 2] : [1]);
      assert.equal(before.tornLine !== undefined, cut > 0 && !complete, `cut at ${cut}`);
      using history = new HistoryWriter(path);
      history.append({ round: 3 });
      const after = await readHistory(path);
      assert.deepEqual(after.records.map(({ round }) => round), complete ? [1, 2, 3] : [1, 3]);
      assert.equal(after.tornLine, undefined);
    }
  });

  it("HistoryWriter leaves a readable file when the program is killed", async () => {
    for (const signal of ["SIGINT", "SIGKILL"] as const) {
      const path = freshPath();
      const program = `
        const { HistoryWriter } = await import(${
        JSON.stringify(new URL("../../src/fl/history.ts", import.meta.url))
      });
        const history = new HistoryWriter(${JSON.stringify(path)});
        for (let round = 0; ; round++) {
          history.append({ round, padding: "x".repeat(100_000) });
          process.send(round);
        }`;
      const child = spawn(
        process.execPath,
        ["--import", fromRoot("scripts/register.mjs"), "--input-type=module", "--eval", program],
        { stdio: ["ignore", "ignore", "inherit", "ipc"], cwd: fromRoot(".") },
      );
      let acknowledged = -1;
      child.on("message", (round) => {
        acknowledged = Math.max(acknowledged, Number(round));
        if (acknowledged === 5) child.kill(signal);
      });
      await once(child, "close");
      const { records } = await readHistory(path);
      assert.deepEqual(records.map(({ round }) => round), records.map((_, i) => i));
      assert.ok(acknowledged >= 5 && records.length > acknowledged, `${records.length} of ${acknowledged}`);
    }
  });

  it("HistoryWriter refuses numbers that JSON cannot hold, and writes nothing of their record", async () => {
    const path = freshPath();
    using history = new HistoryWriter(path);
    for (const bad of [NaN, Infinity, -Infinity]) {
      assert.throws(() => history.append({ round: 1, train: { loss: bad } }), {
        name: "RangeError",
        message: `Cannot write a history record: loss must be finite, got ${bad}`,
      });
    }
    assert.equal(await readFile(path, "utf8"), "");
    history.close();
    assert.throws(() => history.append({ round: 1 }), { message: /it is closed/ });
  });

  it("HistoryWriter names a path it cannot write and refuses a file that is no history", async () => {
    const missing = join(folder, "missing", "history.jsonl");
    assert.throws(() => new HistoryWriter(missing), (error) => {
      assert.ok(
        error instanceof Error && error.message.startsWith(`Cannot write history ${missing}: ENOENT`),
      );
      return true;
    });
    assert.throws(() => new HistoryWriter(folder), /Cannot write history .*EISDIR/);
    const path = freshPath();
    await writeFile(path, "a poem\nof two lines\n");
    assert.throws(() => new HistoryWriter(path), {
      name: "CorruptFileError",
      message: /line 1 is not a JSON object/,
    });
    assert.equal(await readFile(path, "utf8"), "a poem\nof two lines\n");
  });
});

describe("readHistory()", () => {
  it("readHistory() reports a torn last line and refuses one before it", async () => {
    const path = freshPath();
    await writeFile(path, '{"round":1}\n{"round":2}\n{"rou');
    assert.deepEqual(await readHistory(path), { records: [{ round: 1 }, { round: 2 }], tornLine: '{"rou' });
    await writeFile(path, "");
    assert.deepEqual(await readHistory(path), { records: [], tornLine: undefined });
    for (const bad of ['{"rou\n{"round":2}\n', "\n", "[1]\n", "null\n", '"x"\n{}\n']) {
      await writeFile(path, `{"round":1}\n${bad}`);
      await assert.rejects(readHistory(path), {
        name: "CorruptFileError",
        message: /line 2 is not a JSON object/,
      });
    }
    await assert.rejects(readHistory(freshPath()), { code: "ENOENT" });
  });
});
