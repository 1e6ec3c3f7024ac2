import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { isAbandoned, withOwnName } from "../../src/hub/own_names.ts";
import { deadName } from "./dead_name.ts";

const now = () => ({ modified: Date.now(), patience: 60_000 });

test("isAbandoned() tells a name in use from one that its process has let go", async () => {
  const names = await Promise.all([1, 2].map(() =>
    withOwnName(async (name) => {
      assert.match(name, /^[0-9a-f]{8}-\d+-[0-9a-f]{8}$/);
      assert.equal(isAbandoned(`model.federa-${name}.incomplete`, now()), false);
      return name;
    })
  ));
  assert.notEqual(names[0], names[1]);
  for (const name of names) assert.equal(isAbandoned(`model.federa-${name}.incomplete`, now()), true);
  const failing = withOwnName((name) => Promise.reject(new Error(name)));
  const name = await failing.catch(({ message }) => message);
  assert.equal(isAbandoned(name, now()), true);
});

test("isAbandoned() asks whether a process of this machine is alive, and waits for other machines", async () => {
  const own = await withOwnName(async (name) => name);
  const dead = await deadName();
  assert.equal(isAbandoned(dead, now()), true);
  assert.equal(isAbandoned(own.replace(`-${process.pid}-`, `-${process.ppid}-`), now()), false);
  for (const name of [dead.replace(/^......../, "00000000"), "draft-old", ""]) {
    assert.equal(isAbandoned(name, now()), false);
    assert.equal(isAbandoned(name, { modified: Date.now() - 60_001, patience: 60_000 }), true);
  }
});
