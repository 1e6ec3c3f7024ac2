import assert from "node:assert/strict";
import { test } from "node:test";
import { placeOf, readExamples, stratifiedSplit } from "../../../src/data/mod.ts";
import { classification } from "../../../src/tasks/mod.ts";
import { temporaryFiles } from "../../support/temporary_files.ts";

test("placeOf() names file and line, also after a split", async () => {
  const files = await temporaryFiles({ "d.csv": 'text,label\na,x\n"b\nb",y\nc,x\nd,z\n' });
  const path = (await files.path("d.csv"))!;
  const examples = await readExamples(path, "sequence-classification");
  const places = ["line 2", "line 3", "line 5", "line 6"].map((line) => `${line} of ${path}`);
  assert.deepEqual(examples.map(placeOf), places);
  const { train, validation } = stratifiedSplit(examples, () => 1, { validation: 0.5, test: 0 });
  assert.deepEqual([...train, ...validation].map((example, i) => placeOf(example, i)).sort(), places);
  assert.equal(placeOf({ ...examples[1]! }, 1), "example 2");
});

test("a task that can't use an example names its line", async () => {
  const files = await temporaryFiles({ "d.csv": "text,label\na,x\nb,y\nc,z\n" });
  const path = (await files.path("d.csv"))!;
  const examples = await readExamples(path, "sequence-classification");
  assert.throws(
    () =>
      classification({ labels: ["x", "y"] }).prepare(examples.slice(1), undefined as never, { maxLength: 4 }),
    { name: "RangeError", message: new RegExp(`^Cannot use line 4 of ${path}: its label "z" is unknown`) },
  );
});
