import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HubError } from "../../src/hub/errors.ts";
import { checkFileName } from "../../src/hub/files/file_name.ts";
import { parseModelSpec } from "../../src/hub/model_spec.ts";

test("parseModelSpec() reads models of the hub", () => {
  const cases = {
    "hf:owner/name": ["owner/name", "main"],
    "hf:bert-base-uncased": ["bert-base-uncased", "main"],
    "hf:o/n_1.5-x@v1.0": ["o/n_1.5-x", "v1.0"],
    "hf:o/n@refs/pr/12": ["o/n", "refs/pr/12"],
  };
  for (const [spec, [repo, revision]] of Object.entries(cases)) {
    assert.deepEqual(parseModelSpec(spec), { kind: "hf", repo, revision });
  }
});

test("parseModelSpec() reads npm packages", () => {
  const cases = {
    "npm:model@1.0.0": ["model", "1.0.0", ""],
    "npm:@scope/model@1.2.3-rc.1": ["@scope/model", "1.2.3-rc.1", ""],
    "npm:@scope/model@1.2.3/dist/small": ["@scope/model", "1.2.3", "dist/small"],
    "npm:model@1.0.0/dist/": ["model", "1.0.0", "dist"],
  };
  for (const [spec, [name, version, folder]] of Object.entries(cases)) {
    assert.deepEqual(parseModelSpec(spec), { kind: "npm", name, version, folder });
  }
});

test("parseModelSpec() takes everything else for a folder", () => {
  for (const path of ["models/mine", "/models/mine", "./x", "C:\\models", "~/x", "s3:bucket", ""]) {
    assert.deepEqual(parseModelSpec(path), { kind: "folder", path });
  }
});

test("parseModelSpec() says what is wrong", () => {
  const cases: [string, RegExp][] = [
    ["hf:", /has names like owner\/name, got "hf:"/],
    ["hf:a/b/c", /owner\/name/],
    ["hf://owner/name", /owner\/name/],
    ["hf:../name", /owner\/name/],
    ["hf:owner/..", /owner\/name/],
    ["hf:own--er/name", /owner\/name/],
    ["hf:owner/-name", /owner\/name/],
    ["hf:owner/name.git", /owner\/name/],
    ["hf:owner/na me", /owner\/name/],
    ["hf:owner/name@", /a branch, tag or commit/],
    ["hf:owner/name@../main", /a branch, tag or commit/],
    ["hf:owner/name@/main", /a branch, tag or commit/],
    ["hf:owner/name@a\\b", /a branch, tag or commit/],
    ["hf:owner/name@a?b", /a branch, tag or commit/],
    ["hf:owner/name@../../x", /a branch, tag or commit/],
    ["hf:owner/name@a/../../b", /a branch, tag or commit/],
    ["hf:owner/name@a\0b", /a branch, tag or commit/],
    ["hf:owner/name@-x", /a branch, tag or commit/],
    ["hf:owner/name@main\n", /a branch, tag or commit/],
    ["hf:owner/name\0", /owner\/name/],
    ["npm:", /npm:package@version/],
    ["npm:../x@1.0.0", /npm:package@version/],
    ["npm:model", /an exact version such as model@1\.0\.0, got "npm:model"/],
    ["npm:model@latest", /exact version/],
    ["npm:model@^1.0.0", /exact version/],
    ["npm:model@1", /exact version/],
    ["npm:@scope/model/dist", /exact version/],
    // What npm would take for an option, a folder, a file, a repository or an address.
    ["npm:--x@1.0.0", /a package's name like model or @scope\/model, got "npm:--x@1\.0\.0"/],
    ["npm:-g@1.0.0", /a package's name/],
    ["npm:@-s/x@1.0.0", /a package's name/],
    ["npm:@s/--x@1.0.0", /a package's name/],
    ["npm:.@1.0.0", /a package's name/],
    ["npm:.x@1.0.0", /a package's name/],
    ["npm:_x@1.0.0", /a package's name/],
    ["npm:~x@1.0.0", /a package's name/],
    ["npm:@../x@1.0.0", /a package's name/],
    ["npm:@s/..@1.0.0", /a package's name/],
    ["npm:@s@1.0.0", /a package's name/],
    ["npm:@/x@1.0.0", /a package's name/],
    ["npm:x.tgz@1.0.0", /a package's name/],
    ["npm:@s/x.tar.gz@1.0.0", /a package's name/],
    ["npm:node_modules@1.0.0", /a package's name/],
    ["npm:git+https://host/x@1.0.0", /a package's name/],
    ["npm:file:x@1.0.0", /a package's name/],
    ["npm:x\0@1.0.0", /a package's name/],
    [`npm:${"x".repeat(215)}@1.0.0`, /a package's name/],
    ["npm:x@1.0.0-a.tgz", /exact version/],
    ["npm:x@file:..", /exact version/],
    ["npm:x@npm:y", /exact version/],
    ["npm:x@1.0.0 --registry=http:", /exact version/],
    ["npm:x@01.0.0", /exact version/],
    ["npm:x@1.0.0-", /exact version/],
    ["npm:x@v1.0.0", /exact version/],
    ["npm:x@1.0.0\n", /exact version/],
  ];
  for (const [spec, message] of cases) {
    assert.throws(() => parseModelSpec(spec), (error) => {
      assert.ok(error instanceof HubError && error.reason === "invalid", spec);
      assert.match(error.message, message);
      return true;
    });
  }
});

test("parseModelSpec() reads any text or refuses it by name", () => {
  const prefix = fc.constantFrom("", "hf:", "npm:", "hf:a/b@", "npm:a@1.0.0/", "npm:@s/", "npm:a@1.0.0");
  fc.assert(fc.property(prefix, fc.string({ unit: "binary" }), (start, rest) => {
    try {
      const spec = parseModelSpec(start + rest);
      if (spec.kind === "hf") assert.doesNotMatch(`${spec.repo}@${spec.revision}`, /\.\.|\\|\s|^\/|@\//);
      if (spec.kind === "npm") {
        assert.match(`${spec.name}@${spec.version}`, /^@?[a-z0-9][^\s\\:]*@\d[^\s\\:/]*$/i);
      }
    } catch (error) {
      assert.ok(error instanceof HubError && error.reason === "invalid");
    }
  }));
});

test("checkFileName() lets plain names through", () => {
  for (
    const name of ["config.json", "1_Pooling/config.json", "a/b/c", "..a", "a..b", ".gitattributes", "é ü"]
  ) {
    checkFileName(name);
  }
});

test("checkFileName() refuses names that lead out on some system", () => {
  for (
    const name of [
      "",
      "/a",
      "a/",
      "a//b",
      ".",
      "..",
      "../a",
      "a/../b",
      "a\\b",
      "C:a",
      "a/C:b",
      "a\nb",
      "a\x7f",
      "a\0",
      "a\ud800",
    ]
  ) {
    assert.throws(() => checkFileName(name), { name: "HubError", reason: "invalid" }, name);
  }
});
