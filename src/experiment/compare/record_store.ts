import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { CorruptFileError, makeFolder, writeFileAtomic } from "../../data/mod.ts";
import { formatRecord, type UnitRecord } from "./unit_record.ts";

/** `records.jsonl`, and one of each further process that works on the same comparison. */
const NAME = /^records(?:-\d+)?\.jsonl$/;

/**
 * The records of a comparison, in the files `records.jsonl`, `records-2.jsonl` … of a folder, one of each process. A file is rewritten whole
 * with each record, so that a process that is ended at any moment loses the unit that it was at, and no more.
 */
export class RecordStore {
  readonly #path: string;
  readonly #own: UnitRecord[];
  readonly #byKey: Map<string, UnitRecord>;

  private constructor(path: string, own: readonly UnitRecord[], all: readonly UnitRecord[]) {
    this.#path = path;
    this.#own = [...own];
    this.#byKey = new Map(all.map((each) => [each.key, each]));
  }

  /**
   * Opens the records in a folder, which need not exist.
   *
   * @param shard the number of this process, from 1; it alone writes its file.
   * @throws {CorruptFileError} naming the file and the line that isn't a record.
   */
  static async open(
    folder: string,
    { shard = 1 }: { readonly shard?: number | undefined } = {},
  ): Promise<RecordStore> {
    const name = shard === 1 ? "records.jsonl" : `records-${shard}.jsonl`;
    const files = await recordFiles(folder);
    const read = await Promise.all(files.map(async (file) => await readRecords(join(folder, file))));
    return new RecordStore(join(folder, name), read[files.indexOf(name)] ?? [], read.flat());
  }

  /** The record of a unit by its key. */
  get(key: string): UnitRecord | undefined {
    return this.#byKey.get(key);
  }

  /** All records, of all files. */
  get all(): readonly UnitRecord[] {
    return [...this.#byKey.values()];
  }

  /**
   * Adds a record, and writes this process's file.
   *
   * @throws {WriteError} when the file can't be written.
   */
  async add(record: UnitRecord): Promise<void> {
    const line = JSON.parse(formatRecord(record)) as UnitRecord;
    this.#own.push(line);
    this.#byKey.set(record.key, line);
    if (this.#own.length === 1) await makeFolder(join(this.#path, ".."));
    await writeFileAtomic(this.#path, this.#own.map((each) => `${formatRecord(each)}\n`).join(""));
  }
}

async function recordFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => NAME.test(name)).sort();
}

async function readRecords(path: string): Promise<UnitRecord[]> {
  const lines = (await readFile(path, "utf8")).split("\n");
  return lines.flatMap((line, i) => {
    if (line === "") return [];
    try {
      const record = JSON.parse(line) as UnitRecord;
      if (typeof record.key === "string" && Array.isArray(record.rounds)) return [record];
    } catch (cause) {
      if (!(cause instanceof SyntaxError)) throw cause;
    }
    throw new CorruptFileError(`Cannot read ${path}: line ${i + 1} is no record of a comparison`);
  });
}
