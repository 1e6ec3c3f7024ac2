import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { tinyProject } from "../../support/tiny_project.ts";
import { federa } from "../federa_command.ts";

test("federa flower-node says what is wrong before it joins", async (t) => {
  const folder = await tinyProject(t);
  const data = join(folder, "train.jsonl");
  const cases: [string[], RegExp][] = [
    [["--data", join(folder, "nothing.jsonl")], /nothing\.jsonl/],
    [["--data", data, "--column", "tags=label"], /tags plays no part in sequence-classification/],
    [["--data", data, "--client", "first"], /Expected a whole number from 0/],
    [["--data", data, "--superlink", "http://192.0.2.1:8000"], /192\.0\.2\.1[^]*insecure/],
  ];
  await Promise.all(cases.map(async ([parameters, message], i) => {
    const { code, stdout, stderr } = await federa(
      ...["flower-node", "--superlink", "http://127.0.0.1:9", "--model", join(folder, "bert")],
      ...["--folder", join(folder, `node-${i}`), ...parameters],
    );
    assert.equal(code, 1, stdout);
    assert.match(stderr, message);
  }));
});
