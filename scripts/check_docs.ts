import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** The parts of `deno doc --json` that are looked at. */
interface DocOutput {
  nodes: Record<string, { symbols: DocSymbol[] }>;
}
interface DocSymbol {
  name: string;
  declarations: DocDeclaration[];
}
interface DocDeclaration {
  declarationKind: string;
  kind: string;
  location: { filename: string; line: number };
  jsDoc?: { doc?: string };
  def?: { methods?: DocMember[] };
}
interface DocMember {
  name: string;
  accessibility?: string;
  isOverride?: boolean;
  location: { filename: string; line: number };
  jsDoc?: { doc?: string };
}

/**
 * Lists the exported symbols of every module in `folder`, and the public methods and accessors of exported classes,
 * that have no doc comment. Members named by a symbol such as `[Symbol.dispose]`, and overrides, need none.
 *
 * @throws {Error} `deno doc` cannot read the files.
 */
export async function findUndocumented(folder: string): Promise<string[]> {
  const missing = new Set<string>();
  const copy = await copyModules(folder);
  try {
    const place = ({ location }: DocMember | DocDeclaration) =>
      `${join(folder, relative(copy, fileURLToPath(location.filename)))}:${location.line + 1}`;
    for (const { symbols } of Object.values(readDocs(copy).nodes)) {
      for (const { name, declarations } of symbols) {
        // A re-export is a reference to what is documented where it is declared.
        const exported = declarations.filter(({ declarationKind, kind }) =>
          declarationKind === "export" && kind !== "reference"
        );
        const [first] = exported;
        if (first === undefined) continue;
        if (!exported.some(hasText)) missing.add(`${place(first)}: ${name} has no doc comment`);
        for (const member of exported.flatMap(({ def }) => def?.methods ?? [])) {
          const exempt = member.name.startsWith("[") || member.isOverride ||
            member.accessibility === "private";
          if (!exempt && !hasText(member)) {
            missing.add(`${place(member)}: ${name}.${member.name} has no doc comment`);
          }
        }
      }
    }
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
  return [...missing].sort();
}

/** Copies the modules without their imports of shaders and packages, which `deno doc` fails to resolve. */
async function copyModules(folder: string): Promise<string> {
  // Deno names files by their real path, which differs where the temporary folder is a link.
  const copy = await realpath(await mkdtemp(join(tmpdir(), "federa-docs-")));
  const foreign = /^import\s[^"]*"(?:[^."][^"]*|[^"]*\.(?:wgsl|json))"[^;]*;$/gm;
  for (const name of modulesOf(folder)) {
    const text = await readFile(join(folder, name), "utf8");
    await mkdir(dirname(join(copy, name)), { recursive: true });
    // The line breaks stay, so that the line numbers do.
    await writeFile(
      join(copy, name),
      text.replaceAll(foreign, (statement) => statement.replaceAll(/[^\n]/g, "")),
    );
  }
  return copy;
}

function modulesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"));
}

function hasText({ jsDoc }: DocMember | DocDeclaration): boolean {
  return (jsDoc?.doc ?? "").trim() !== "";
}

function readDocs(folder: string): DocOutput {
  const deno = createRequire(import.meta.url).resolve("deno/bin.cjs");
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [deno, "doc", "--json", ...modulesOf(folder)],
    { cwd: folder, env: { ...process.env, NO_COLOR: "1" }, encoding: "utf8", maxBuffer: 2 ** 28 },
  );
  if (status !== 0) throw new Error(`Cannot read the doc comments: deno doc ended with ${status}\n${stderr}`);
  return JSON.parse(stdout) as DocOutput;
}

if (process.argv[1] === import.meta.filename) {
  const missing = await findUndocumented("src");
  if (missing.length > 0) {
    console.error(missing.join("\n"));
    process.exit(1);
  }
  console.log("Checked the doc comments");
}
