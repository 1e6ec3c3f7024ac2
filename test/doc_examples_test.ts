import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { testGpu } from "./engine/harness.ts";
import { docExamples, statementsOf, valuesOf } from "./support/doc_examples.ts";
import { root } from "./support/installed_package.ts";
import { withoutTypes } from "./support/readme.ts";

const gpu = await testGpu();
const folder = await mkdtemp(join(tmpdir(), "federa-examples-"));
after(() => rm(folder, { recursive: true }));
const all = pathToFileURL(join(root, "src/mod.ts")).href;

/** What an example may use without a word: a device, and what its statements are checked by. */
const scope = { gpu, check };
Object.assign(globalThis, { docExampleScope: scope });

/** Holds what a statement gave against what the comment behind it says. */
function check(found: unknown, expected: readonly unknown[]): void {
  const plain = ArrayBuffer.isView(found) ? Array.from(found as Float32Array) : found;
  // A list without brackets is what a typed array holds.
  const wanted =
    expected.length === 1 && !(Array.isArray(plain) && plain.length === 1 && !Array.isArray(expected[0]))
      ? expected[0]
      : expected;
  if (Array.isArray(plain) && Array.isArray(wanted) && found instanceof Float32Array) {
    assert.equal(plain.length, wanted.length);
    plain.forEach((value, i) => {
      const off = Math.abs((value as number) - (wanted[i] as number));
      assert.ok(off <= 1e-5 * Math.abs(value as number) + 1e-6, `${inspect(plain)} isn't ${inspect(wanted)}`);
    });
  } else assert.deepEqual(plain, wanted);
}

/** The example as a module that has in scope what its file and the package export, and checks the values it tells. */
async function moduleOf(file: string, code: string): Promise<string> {
  const own = pathToFileURL(join(root, "src", file)).href;
  const lines: string[] = [];
  for (const { code: statement, remark } of statementsOf(code)) {
    const values = remark === undefined ? undefined : valuesOf(remark);
    const [, printed] = /^console\.log\(([\s\S]*)\);$/.exec(statement) ?? [];
    const isExpression = !/^(const|let|using|import|for|if|assert|class|function)\b/.test(statement);
    lines.push(
      isExpression && values !== undefined
        ? `check(${printed ?? statement.slice(0, -1)}, [${remark}]);`
        : statement.replaceAll(/from "federa(\/\w+)?"/g, () => `from ${JSON.stringify(all)}`)
          .replaceAll(/from "\.\//g, () => `from "${new URL(".", own).href}`),
    );
  }
  const body = lines.join("\n");
  const imported = [...body.matchAll(/import \{([^}]*)\}/g)].flatMap(([, names]) =>
    names!.split(",").map((name) => name.trim())
  );
  const declared = new Set([
    ...imported,
    ...[...body.matchAll(/\b(?:const|let|using)\s+(?:(\w+)|[[{]([^\]}]*)[\]}])/g)].flatMap((
      [, one, several],
    ) => one !== undefined ? [one] : several!.split(/[\s,:]+/)),
  ]);
  const names = new Set(body.match(/\b[A-Za-z_]\w*\b/g));
  const importsFrom = async (address: string) => {
    const found = Object.keys(await import(address) as object).filter((name) =>
      names.has(name) && !declared.has(name)
    );
    for (const name of found) declared.add(name);
    return `import { ${found.join(", ")} } from ${JSON.stringify(address)};`;
  };
  // Commands aren't loaded by an example of theirs; the file itself comes first, as it may export what the package doesn't.
  const imports = [await importsFrom(own), await importsFrom(all)];
  const given = Object.keys(scope).filter((name) => !declared.has(name));
  return await withoutTypes(
    [...imports, `const { ${given.join(", ")} } = globalThis.docExampleScope;`, body].join("\n"),
  );
}

const examples = docExamples(join(root, "src"));

for (const [i, { file, line, code }] of examples.entries()) {
  test(`the example of src/${file}:${line} runs and gives what it says`, async () => {
    const path = join(folder, `example_${i}.mjs`);
    await writeFile(path, await moduleOf(file, code));
    await import(pathToFileURL(path).href);
  });
}

test("docExamples() finds the examples", () => assert.ok(examples.length > 40));

test("statementsOf() and valuesOf() read statements over several lines and remarks", () => {
  const code = `const a = [
  1, // one
];
f("a; // b", a); // "x", 2
g();
// [{ a: 1 }]
h(); // see there
`;
  assert.deepEqual(statementsOf(code), [
    { code: "const a = [\n  1,\n];", remark: undefined },
    { code: `f("a; // b", a);`, remark: `"x", 2` },
    { code: "g();", remark: "[{ a: 1 }]" },
    { code: "h();", remark: "see there" },
  ]);
  assert.deepEqual(valuesOf(`"x", 2`), ["x", 2]);
  assert.deepEqual(valuesOf("[{ a: 1 }]"), [[{ a: 1 }]]);
  assert.equal(valuesOf("see there"), undefined);
});
