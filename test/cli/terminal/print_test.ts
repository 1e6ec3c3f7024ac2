import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { createReporter } from "../../../src/cli/terminal/reporter.ts";
import { formatTable } from "../../../src/cli/tables/table.ts";
import { describePrediction } from "../../../src/cli/trained/describe_prediction.ts";
import { encodeSafetensors } from "../../../src/models/weights/safetensors.ts";
import { federa } from "../federa_command.ts";

/** Clears the screen, sets the title, goes back to the line's start and turns the direction. */
const hostile = "\u001b[2J\u001b]0;owned\u0007\r\u202e\u009b31m";
const shown = "\\x1b[2J\\x1b]0;owned\\x07\\r\\u202e\\x9b31m";

/** What a terminal would obey, but for ends of lines. */
// deno-lint-ignore no-control-regex
const OBEYED = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/;

test("createReporter() gives a terminal no control characters but its own", () => {
  const stream = new PassThrough({ encoding: "utf8" });
  const reporter = createReporter(stream);
  reporter.line(`label ${hostile}\nsecond line`);
  assert.equal(stream.read(), `label ${shown}\nsecond line\n`);
});

test("formatTable() and describePrediction() keep what comes from files in its line", () => {
  assert.equal(
    formatTable([{ name: `a\n${hostile}` }], [{ title: "name", cell: ({ name }) => name }]).split("\n")[2],
    `a\\n${shown}`,
  );
  const label = `ham\n${hostile}`;
  assert.equal(
    describePrediction({ text: `one\ntwo${hostile}`, prediction: { label, probabilities: { [label]: 1 } } }),
    `one\\ntwo${shown}\n  ham\\n${shown}  100.0 %`,
  );
});

test("describePrediction() shows the text of entities and words, and how many words weren't read", () => {
  const words = [{ text: "北京", start: 0, end: 2 }, { text: "x", start: 3, end: 4 }];
  const entity = { type: "LOC", start: 0, end: 1, text: "北京", startChar: 0, endChar: 2 };
  const lines = (prediction: object) => describePrediction({ text: "北京 x", prediction }).split("\n");
  assert.deepEqual(lines({ tags: ["B-LOC", "O"], entities: [entity], words }), ["北京 x", "  LOC  北京"]);
  assert.deepEqual(lines({ tags: ["N", "V"], entities: [], words }), ["北京 x", "  北京  N", "  x  V"]);
  assert.deepEqual(lines({ tags: ["O", "O"], entities: [], words, numUnseen: 1 }), [
    "北京 x",
    "  no entity",
    "  1 of 2 words weren't read: the text is longer than the model reads",
  ]);
});

test("the commands print names and failures of hostile files without what a terminal would obey", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "federa-print-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [weights, config] = [join(folder, `${hostile}.safetensors`), join(folder, "config.json")];
  await writeFile(
    weights,
    encodeSafetensors(
      new Map([[hostile, { dtype: "F32", shape: [2, 2], data: new Float32Array([1, 2, 3, 4]) }]]),
      { note: hostile },
    ),
  );
  await writeFile(config, JSON.stringify({ [hostile]: 1 }));
  for (
    const args of [
      ["inspect", weights],
      ["run", config],
      ["run", `--${hostile}`],
    ]
  ) {
    const { stdout, stderr } = await federa(...args);
    assert.doesNotMatch(stdout + stderr, OBEYED, args.join(" "));
    assert.match(stdout + stderr, /\\(x1b|u001b)/, args.join(" "));
  }
});
