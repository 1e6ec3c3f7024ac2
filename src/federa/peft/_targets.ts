import { compilePattern } from "./_python_pattern.ts";

/** Most patterns of layers that are compiled. */
const maxPatterns = 16;

/** The fields of a configuration that select the layers to adapt. */
export interface TargetFields {
  readonly target_modules?: string | readonly string[] | null | undefined;
  readonly exclude_modules?: string | readonly string[] | null | undefined;
  readonly modules_to_save?: readonly string[] | null | undefined;
  readonly layers_to_transform?: number | readonly number[] | null | undefined;
  readonly layers_pattern?: string | readonly string[] | null | undefined;
}

/**
 * Whether a configuration of PEFT adapts the linear layer of a name, as PEFT's `check_target_module_exists`; undefined if it
 * is unknown, because a field is a shorthand or a regular expression that isn't supported.
 */
export type Targets = (name: string) => boolean | undefined;

/** Reads which layers a configuration adapts. */
export function readTargets(fields: TargetFields): Targets {
  const { target_modules: targets, layers_to_transform: layers } = fields;
  if (targets === null || targets === undefined || targets === "all-linear") return () => undefined;
  try {
    const isTarget = readNames(targets);
    const isExcluded = readNames(fields.exclude_modules ?? []);
    const isLayer = readLayers(layers ?? [], fields.layers_pattern ?? []);
    const stored = (fields.modules_to_save ?? []).map((name) => `.${name}.`);
    // `layers_to_transform` filters layers that only end with one of the names.
    const whole = new Set(typeof targets === "string" ? [] : targets);
    return (name) =>
      !isExcluded(name) && !stored.some((each) => `.${name}.`.includes(each)) && isTarget(name) &&
      (typeof targets === "string" || whole.has(name) || isLayer(name));
  } catch (error) {
    if (error instanceof SyntaxError) return () => undefined;
    throw error;
  }
}

/** Whether a name matches a pattern as a whole, or ends with one of a list. */
function readNames(value: string | readonly string[]): (name: string) => boolean {
  if (typeof value === "string") return value === "" ? () => false : compilePattern(value).matches;
  const known = new Set(value);
  return (name) => {
    if (known.has(name)) return true;
    for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
      if (known.has(name.slice(dot + 1))) return true;
    }
    return false;
  };
}

/** Layers by their number, the first number of a name after one of the patterns. */
function readLayers(
  layers: number | readonly number[],
  pattern: string | readonly string[],
): (name: string) => boolean {
  const numbers = new Set(typeof layers === "number" ? [layers] : layers);
  if (numbers.size === 0) return () => true;
  const index = "\\.(?P<index>\\d+)\\.";
  const patterns = [pattern].flat().filter((each) => each !== "");
  if (patterns.length > maxPatterns) throw new SyntaxError("it has too many patterns");
  const before = patterns.length === 0
    ? [compilePattern("[^.]*", { around: [".*?\\.", index] })]
    : patterns.map((each) => compilePattern(each, { around: ["(?:^|.*?\\.)", index] }));
  return (name) => {
    for (const each of before) {
      const found = each.groupAtStart(name, "index");
      if (found !== undefined) return numbers.has(Number(found));
    }
    return false;
  };
}
