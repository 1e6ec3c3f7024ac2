import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, parse, sep } from "node:path";
import { isAbsence } from "./absence.ts";
import { cut } from "../text/excerpt.ts";
import { type DataFormat, dataFormats, findFormat, formatAdvice } from "../rows/read_rows.ts";

/** Options of {@linkcode findDataFiles}. */
export interface FindDataFilesOptions {
  /** The format of the files, where their extensions don't say it. */
  readonly format?: DataFormat | undefined;
  /** Called with the files that were read, where one name means several. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** Names of the parts of a dataset. */
const PART = /(?:^|[-_.])(train|test|validation|valid|val|dev|eval)(?:[-_.]|$)/i;
/** A file that is one of several: `train-00000-of-00002.parquet`. */
const SHARD = /^(.*)-(\d+)-of-(\d+)(\.[^.]+)?$/;
/** Files that `datasets` writes beside its data. */
const NOTES = /^(dataset_infos?|dataset_dict|state)\.json$/;

/**
 * The data files that names mean, each once (Node only): a file, and for a shard such as `train-00000-of-00002.parquet` all
 * shards; the data files of a folder; or those that a pattern matches, in which `*` matches any characters and `?` one. Files
 * of a folder or a pattern are sorted by name.
 *
 * @throws {RangeError} if there are none, a shard is missing, or a folder holds more than one kind of files.
 * @throws the file system's error if a file can't be found.
 *
 * @example
 * ```ts no-run
 * const examples = await readExamples(await findDataFiles("data/train-*.parquet"), "sequence-classification");
 * ```
 */
export async function findDataFiles(
  names: string | readonly string[],
  options: FindDataFilesOptions = {},
): Promise<string[]> {
  const found: string[] = [];
  for (const name of [names].flat()) {
    const files = await filesOf(name, options);
    if (files.length > 1) {
      const [first, last] = [files[0]!, files.at(-1)!].map((file) => basename(file));
      options.onNotice?.(`Reading ${files.length} files for ${name}: ${first} to ${last}`);
    }
    for (const file of files) found.push(file);
  }
  return [...new Set(found)];
}

async function filesOf(name: string, options: FindDataFilesOptions): Promise<string[]> {
  try {
    if ((await stat(name)).isDirectory()) return await filesIn(name, options);
    return await shardsOf(name);
  } catch (error) {
    const isFound = !(error instanceof Error && "code" in error);
    if (isFound || !/[*?]/.test(name)) throw error;
  }
  const matches = await matchesOf(name);
  if (matches.length > 0) return matches;
  throw new RangeError(
    `Cannot read ${name}: no file matches; * matches any characters of a name, ? one`,
  );
}

/** A file, and the other shards of the same dataset. */
async function shardsOf(path: string): Promise<string[]> {
  const match = SHARD.exec(basename(path));
  if (match === null) return [path];
  const [, start, index, total, end = ""] = match;
  const there = new Set(await readdir(dirname(path)));
  const names = Array.from(
    { length: Math.min(Number(total), there.size + 1) },
    (_, i) => `${start}-${String(i).padStart(index!.length, "0")}-of-${total}${end}`,
  );
  const missing = names.find((name) => !there.has(name));
  if (missing === undefined) return names.map((name) => join(dirname(path), name));
  throw new RangeError(
    `Cannot read ${path}: it is one of ${total} parts, and ${missing} is missing; fetch all of them, or rename the file`,
  );
}

async function filesIn(folder: string, { format, onNotice }: FindDataFilesOptions): Promise<string[]> {
  const refuse = (what: string) => new RangeError(`Cannot read ${folder}: ${what}`);
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => !entry.isDirectory() && !/^[._]/.test(entry.name))
    .map(({ name }) => name).sort();
  const data = names.filter((name) => !NOTES.test(name));
  const of = (wanted: DataFormat | undefined) => data.filter((name) => findFormat(name) === wanted);
  // JSON beside data of another format describes it.
  const known = dataFormats.filter((each) => each !== "json" && of(each).length > 0);
  const chosen = format ?? (known.length > 0 ? known[0] : "json");
  if (format === undefined && known.length > 1) {
    throw refuse(
      `it holds files of several formats, ${
        known.join(" and ")
      }; choose those to read with a pattern such as *.csv`,
    );
  }
  const files = of(chosen).length > 0 || format === undefined ? of(chosen) : of(undefined);
  if (files.length === 0) {
    const other = names.find((name) => formatAdvice(name) !== undefined);
    throw refuse(
      `it is a folder without data files${
        other === undefined ? "" : `; there is ${cut(other)}, but ${formatAdvice(other)}`
      }`,
    );
  }
  const parts = new Set(files.flatMap((name) => PART.exec(name)?.[1]?.toLowerCase() ?? []));
  if (parts.size > 1) {
    const { ext } = parse(files[0]!);
    throw refuse(
      `it holds files of several parts, ${
        [...parts].join(" and ")
      }; choose those to read with a pattern such as ${join(folder, `${[...parts][0]}*${ext}`)}`,
    );
  }
  const taken = new Set(files);
  const left = names.filter((name) => !taken.has(name));
  if (left.length > 0) {
    onNotice?.(
      `Ignored in ${folder}: ${left.slice(0, 8).map(cut).join(", ")}${left.length > 8 ? ", …" : ""}`,
    );
  }
  const shards = new Set<string>();
  // One after the other, so that a message is about the first.
  for (const name of files) for (const path of await shardsOf(join(folder, name))) shards.add(path);
  return [...shards];
}

/** The files that a pattern matches, name by name along the path. */
async function matchesOf(pattern: string): Promise<string[]> {
  const { root } = parse(pattern);
  const parts = pattern.slice(root.length).split(sep === "\\" ? /[\\/]/ : sep);
  let paths = [root];
  for (const [i, part] of parts.entries()) {
    const isLast = i === parts.length - 1;
    const found: string[] = [];
    for (const folder of paths) {
      if (!/[*?]/.test(part) && !isLast) {
        found.push(join(folder, part));
        continue;
      }
      const entries = await readdir(folder === "" ? "." : folder, { withFileTypes: true }).catch((error) => {
        if (isAbsence(error)) return [];
        throw error;
      });
      for (const entry of entries) {
        if (isLast !== entry.isDirectory() && matches(entry.name, part)) found.push(join(folder, entry.name));
      }
    }
    paths = found;
  }
  return paths.sort();
}

/** Whether a name matches a pattern of `*` and `?`, in time proportional to the product of their lengths. */
function matches(name: string, pattern: string): boolean {
  if (name.startsWith(".") && !pattern.startsWith(".")) return false;
  let [at, from, star, after] = [0, 0, -1, 0];
  while (at < name.length) {
    if (pattern[from] === "*") {
      star = from++;
      after = at;
    } else if (from < pattern.length && (pattern[from] === "?" || pattern[from] === name[at])) {
      at++;
      from++;
    } else if (star >= 0) {
      from = star + 1;
      at = ++after;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(from));
}
