import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { readJsonl, readTextExamples, toJsonl } from "../../../src/data/examples/jsonl.ts";
import { labelsOf } from "../../../src/data/examples/text_example.ts";
import { temporaryFolder } from "../../support/temporary_files.ts";

const folder = temporaryFolder();

async function fileOf(content: string): Promise<string> {
  const path = join(folder, "some.jsonl");
  await writeFile(path, content);
  return path;
}

test("readTextExamples() reads the columns it is told to", async () => {
  const path = await fileOf(
    '\ufeff{"text":"a","label":"x","intent":7,"who":true}\r\n\n  \n{"who":"b","intent":8,"text":"","label":null}',
  );
  assert.deepEqual(await readTextExamples(path, { labelColumn: "intent", keyColumn: "who" }), [
    { text: "a", label: "7", key: "true" },
    { text: "", label: "8", key: "b" },
  ]);
});

test("readTextExamples() names the line and the column that are wrong", async () => {
  const good = '{"text":"a","label":"x"}\n';
  const cases: [content: string, message: RegExp][] = [
    [`${good}\n{"text":`, /^Cannot read line 3 of .*some\.jsonl: not JSON, got \{"text":$/],
    [`${good}[1]`, /line 2 of .*: expected an object, got \[1\]$/],
    [`${good}null`, /line 2 of .*: expected an object, got null$/],
    [`${good}{"label":"x"}`, /line 2 of .*: column text must be text, got nothing$/],
    [`${good}{"text":5,"label":"x"}`, /column text must be text, got 5$/],
    [`${good}{"text":"a","lable":"x"}`, /column label must have a label, got nothing; fill it in, /],
    [`${good}{"text":"a","label":["x"]}`, /column label must be text or a number, got \["x"\]$/],
    ["\n\n", /holds none$/],
  ];
  for (const [content, message] of cases) {
    await assert.rejects(readTextExamples(await fileOf(content)), { name: "CorruptFileError", message });
  }
});

test("readTextExamples() lets the file system's own error through", async () => {
  await assert.rejects(readTextExamples(join(folder, "absent.jsonl")), { code: "ENOENT" });
});

test("readJsonl() reads back what toJsonl() writes", async () => {
  const value = fc.oneof(fc.string({ unit: "binary" }), fc.integer(), fc.boolean(), fc.constant(null));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.dictionary(fc.string(), value, { noNullPrototype: true })), async (rows) => {
      const path = join(folder, "round.jsonl");
      await writeFile(path, toJsonl(rows));
      // Through JSON, which knows no key "__proto__" of an object's own before it is parsed.
      assert.deepEqual(await readJsonl(path), JSON.parse(JSON.stringify(rows)));
    }),
    { numRuns: 50 },
  );
});

test("labelsOf() gives each label once, in order", () => {
  assert.deepEqual(labelsOf(["b", "é", "a", "B", "b", "10", "9"].map((label) => ({ label }))), [
    "10",
    "9",
    "B",
    "a",
    "b",
    "é",
  ]);
});
