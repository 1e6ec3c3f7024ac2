/** A value of a kernel's `const` header: a number, a truth value, or the name of another WGSL constant. */
export type KernelConstant = number | boolean | string;

/** Where a line stands, as in `reduction/softmax.wgsl:12`, or `line 12` if the file is not known. */
export type Place = string;

interface Line {
  readonly text: string;
  readonly place: Place;
}

/**
 * Turns the text of a `.wgsl` file and a set of constants into a whole WGSL module. Three things happen, and nothing
 * else: directives (`enable`, `requires`, `diagnostic`) move to the front, where WGSL wants them; the constants follow
 * as `const NAME = value;` lines; and comment commands, one a line, are carried out in the rest:
 *
 * - `//@for i in FIRST..LIMIT` … `//@end` repeats its lines with every `{i}` replaced by FIRST, … LIMIT − 1, and
 *   `//@for name in a, b` … `//@end` with every `{name}` replaced by a, then b;
 * - `//@if FLAG` … `//@else` … `//@end` keeps one of two blocks;
 * - `//@from FILE LINE` says where the next line stands, for messages.
 *
 * A fourth, `//@include "PATH"`, is replaced by the text of another file when a `.wgsl` file is imported
 * (`scripts/read_shader.mjs`, for Node and for the bundler), which writes the `//@from` lines.
 *
 * A bound is a whole number or the name of a constant; a flag is the name of a constant, and 0 counts as false.
 * Loops exist to hold a register tile in named variables: a private array that a driver fails to unroll spills to
 * memory, and `subgroupBroadcast` demands a lane number that is known at compile time. Those over names give several
 * bindings the same access functions, as not every browser lets a function take a binding.
 *
 * @throws {RangeError} A command is unknown, names an unknown constant, or its block is not closed.
 *
 * @example
 * ```ts
 * import { expandShader } from "./_expand.ts";
 *
 * expandShader("//@for i in 0..ROWS\nvar row{i} = {i}u;\n//@end", { ROWS: 2 });
 * // "const ROWS = 2;\nvar row0 = 0u;\nvar row1 = 1u;\n"
 * ```
 */
export function expandShader(source: string, constants: Readonly<Record<string, KernelConstant>>): string {
  return expandedLines(source, constants).map(({ text }) => `${text}\n`).join("");
}

/** Where line `number` (from 1) of an expanded text stands in its sources; undefined for the header of constants. */
export function placeInSource(
  source: string,
  constants: Readonly<Record<string, KernelConstant>>,
  number: number,
): Place | undefined {
  return expandedLines(source, constants)[number - 1]?.place || undefined;
}

function expandedLines(source: string, constants: Readonly<Record<string, KernelConstant>>): Line[] {
  const body = new Expander(constants, placedLines(source)).expand();
  const isDirective = ({ text }: Line) => /^\s*(enable|requires|diagnostic)\b/.test(text);
  const header = Object.entries(constants).map(([name, value]) => ({
    text: `const ${name} = ${value};`,
    place: "",
  }));
  return [...body.filter(isDirective), ...header, ...body.filter((line) => !isDirective(line))];
}

/** The lines of a text with their places, without the lines that state these. */
function placedLines(source: string): Line[] {
  let [file, next] = ["line ", 1];
  return source.split("\n").flatMap((text) => {
    const [, name, line] = /^\/\/@from (\S+) (\d+)$/.exec(text) ?? [];
    if (name === undefined) return [{ text, place: `${file}${next++}` }];
    [file, next] = [`${name}:`, Number(line)];
    return [];
  });
}

/** Recursive descent over lines; `#next` is the line that is read next. */
class Expander {
  readonly #constants: Readonly<Record<string, KernelConstant>>;
  readonly #lines: readonly Line[];
  #next = 0;

  constructor(constants: Readonly<Record<string, KernelConstant>>, lines: readonly Line[]) {
    this.#constants = constants;
    this.#lines = lines;
  }

  expand(): Line[] {
    const out = this.#block();
    if (this.#next < this.#lines.length) throw this.#error("has no opening command");
    return out;
  }

  /** Lines up to an `//@else` or `//@end`, which is left unread, or to the end of the text. */
  #block(): Line[] {
    const out: Line[] = [];
    for (; this.#next < this.#lines.length; this.#next++) {
      const line = this.#lines[this.#next]!;
      const words = line.text.trim().split(/\s+/);
      if (words[0] === "//@end" || words[0] === "//@else") return out;
      if (words[0] === "//@for") out.push(...this.#loop(line.text));
      else if (words[0] === "//@if") out.push(...this.#choice(words[1] ?? ""));
      else if (words[0]?.startsWith("//@")) throw this.#error("is no known command");
      else out.push(line);
    }
    return out;
  }

  #loop(line: string): Line[] {
    const match = /^\s*\/\/@for (\w+) in (?:(\w+)\.\.(\w+)|(\w+(?:, \w+)+))\s*$/.exec(line);
    if (!match) throw this.#error("must read //@for NAME in FIRST..LIMIT or //@for NAME in A, B");
    const [, name, first, limit, list] = match as unknown as [string, string, string?, string?, string?];
    const values = list?.split(", ") ?? this.#range(first!, limit!);
    const opening = this.#next++;
    const block = this.#block();
    this.#close(opening);
    return values.flatMap((value) =>
      block.map(({ text, place }) => ({ text: text.replaceAll(`{${name}}`, value), place }))
    );
  }

  #range(...bounds: [string, string]): string[] {
    const [first, limit] = bounds.map((each) => {
      const bound = /^\d+$/.test(each) ? Number(each) : Number(this.#constant(each));
      if (!Number.isInteger(bound) || bound < 0) throw this.#error(`needs whole bounds, got ${bound}`);
      return bound;
    }) as [number, number];
    return Array.from({ length: Math.max(0, limit - first) }, (_, i) => `${first + i}`);
  }

  #choice(flag: string): Line[] {
    const chosen = Boolean(this.#constant(flag));
    const opening = this.#next++;
    const yes = this.#block();
    let no: Line[] = [];
    if (this.#lines[this.#next]?.text.trim() === "//@else") {
      this.#next++;
      no = this.#block();
    }
    this.#close(opening);
    return chosen ? yes : no;
  }

  #close(opening: number): void {
    if (this.#lines[this.#next]?.text.trim() === "//@end") return;
    this.#next = opening;
    throw this.#error("is not closed by //@end");
  }

  #constant(name: string): KernelConstant {
    const value = this.#constants[name];
    if (value === undefined) throw this.#error(`names the unknown constant "${name}"`);
    return value;
  }

  #error(what: string): RangeError {
    const { text, place } = this.#lines[this.#next]!;
    return new RangeError(`Cannot expand shader: ${place}, "${text.trim()}", ${what}`);
  }
}
