import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import process from "node:process";

/** The layers of `src`, from the lowest; each may import itself and what stands below it. */
export const LAYERS = [
  "shaders",
  "engine",
  "data",
  "hub",
  "models",
  "tasks",
  "federa",
  "fl",
  "experiment",
  "network",
  "cli",
] as const;

/**
 * The storeys of layers that have some, by folder or by file; the other files and folders right in the layer are the core.
 * Neighbours on one storey stay apart. In the engine, the tape is played back with ops, so the files that do so stand above them.
 * In the federation, methods, algorithms and measures know neither each other nor the round, and the simulation stands on top.
 */
const STOREYS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  engine: {
    "errors.ts": 0,
    gpu: 1,
    core: 2,
    ops: 3,
    "backward.ts": 4,
    "checkpoint.ts": 5,
    nn: 5,
    optim: 5,
    linalg: 5,
  },
  fl: {
    core: 0,
    methods: 1,
    algorithms: 1,
    measures: 1,
    rounds: 2,
    run: 3,
    "federate.ts": 4,
    simulation: 5,
  },
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
  // Files right in src are faces of the whole.
  if (posix.dirname(path) === "src") return null;
  const own = levelOf(layer);
  if (own === -1) return `no layer is called ${layer}`;
  const other = levelOf(target.split("/")[1] ?? "");
  if (other === -1 || other > own) return `${layer} stands below it`;
  if (
    path.startsWith("src/engine/gpu/") &&
    (target.startsWith("src/shaders/") || target.startsWith("src/engine/ops/"))
  ) {
    return "engine/gpu knows no operation";
  }
  const storeys = STOREYS[layer];
  if (storeys === undefined || other !== own || posix.basename(path) === "mod.ts") return null;
  const [from, to] = [groupOf(path, layer), groupOf(target, layer)];
  if (from === to || storeyOf(to, layer) < storeyOf(from, layer)) return null;
  return `${layer}/${from} does not stand above ${layer}/${to}`;
}

function levelOf(layer: string): number {
  return LAYERS.findIndex((name) => name === layer);
}

/** The folder or file of a path by which its storey is found. */
function groupOf(path: string, layer: string): string {
  const [, , entry = "", inside] = path.split("/");
  // The engine has no folder without a storey.
  return entry in STOREYS[layer]! || (inside !== undefined && layer === "engine") ? entry : "core";
}

function storeyOf(group: string, layer: string): number {
  const storey = STOREYS[layer]?.[group];
  if (storey === undefined) throw new RangeError(`Cannot place ${layer}/${group}: it is on no storey`);
  return storey;
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
