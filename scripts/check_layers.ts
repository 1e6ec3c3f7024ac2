import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import process from "node:process";

/** The layers of `src`, each allowed to import itself and what stands below it. */
const LAYERS = ["shaders", "engine", "data", "hub", "models", "tasks", "federa", "fl", "experiment", "cli"];

/**
 * The storeys of `src/engine`, by folder or by file; the other files right in it are the core. Neighbours on one
 * storey stay apart. The tape is played back with ops, so the files that do so stand above them.
 */
const ENGINE_STOREYS: Record<string, number> = {
  "errors.ts": 0,
  gpu: 1,
  core: 2,
  ops: 3,
  "backward.ts": 4,
  "checkpoint.ts": 5,
  nn: 5,
  optim: 5,
  linalg: 5,
};

/**
 * Finds the imports that break the design: imports point down only, a `_name.ts` stays private to its folder, the
 * shaders import nothing, `engine/gpu` knows no operation and no shader, and the engine touches Node only in its
 * `*_node.ts` files.
 *
 * @param sources Text of each file by its path, such as `src/engine/tensor.ts`.
 * @param aliases What the `#` imports of package.json stand for.
 */
export function findLayerViolations(
  sources: ReadonlyMap<string, string>,
  aliases: Readonly<Record<string, readonly string[]>> = {},
): string[] {
  const violations: string[] = [];
  for (const [path, text] of sources) {
    for (const specifier of importsOf(text)) {
      const targets = specifier.startsWith(".")
        ? [posix.join(posix.dirname(path), specifier)]
        : aliases[specifier] ?? [specifier];
      for (const target of targets) {
        const problem = judge(path, target, specifier.startsWith("#"));
        if (problem !== null) violations.push(`${path}: must not import ${specifier}: ${problem}`);
      }
    }
  }
  return violations;
}

/** The specifiers of a module's imports and re-exports, type-only and dynamic ones included. */
export function importsOf(text: string): string[] {
  const statements =
    /^(?:import|export)\s[^"'=;()]*?from\s*"([^"]+)"|^import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
  return [...text.matchAll(statements)].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? "");
}

function judge(path: string, target: string, aliased: boolean): string | null {
  const [, layer = ""] = path.split("/");
  if (layer === "shaders") return "shaders import nothing";
  if (!target.startsWith("src/")) {
    const ofNode = target.startsWith("node:") || target === "webgpu";
    return layer === "engine" && ofNode && !path.endsWith("_node.ts")
      ? "only the engine's *_node.ts files may use Node"
      : null;
  }
  const isPrivate = posix.basename(target).startsWith("_") && posix.dirname(target) !== posix.dirname(path);
  if (isPrivate && !aliased) return "the file is private to its folder";
  const own = LAYERS.indexOf(layer);
  const other = LAYERS.indexOf(target.split("/")[1] ?? "");
  // Files right in src are faces of the whole.
  if (own === -1) return null;
  if (other === -1 || other > own) return `${layer} stands below it`;
  if (
    path.startsWith("src/engine/gpu/") &&
    (target.startsWith("src/shaders/") || target.startsWith("src/engine/ops/"))
  ) {
    return "engine/gpu knows no operation";
  }
  if (layer !== "engine" || other !== own || posix.basename(path) === "mod.ts") return null;
  const [from, to] = [engineGroup(path), engineGroup(target)];
  if (from === to || storey(to) < storey(from)) return null;
  return `engine/${from} does not stand above engine/${to}`;
}

function engineGroup(path: string): string {
  const [, , entry = "", inside] = path.split("/");
  return inside !== undefined || entry in ENGINE_STOREYS ? entry : "core";
}

function storey(group: string): number {
  const level = ENGINE_STOREYS[group];
  if (level === undefined) throw new RangeError(`Cannot place engine/${group}: it is on no storey`);
  return level;
}

function readAliases(): Record<string, string[]> {
  const { imports } = JSON.parse(readFileSync("package.json", "utf8")) as {
    imports: Record<string, unknown>;
  };
  return Object.fromEntries(
    Object.entries(imports).map(([name, conditions]) => [
      name,
      Object.values(conditions as Record<string, string>).map((path) => posix.normalize(path)),
    ]),
  );
}

if (process.argv[1] === import.meta.filename) {
  const paths = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.(ts|wgsl)$/.test(name)
  );
  const sources = new Map(
    paths.map((name) => posix.join("src", name)).map((path) => [path, readFileSync(path, "utf8")]),
  );
  const violations = findLayerViolations(sources, readAliases());
  if (violations.length > 0) {
    console.error(violations.join("\n"));
    process.exit(1);
  }
  console.log(`Checked the layers of ${sources.size} files`);
}
