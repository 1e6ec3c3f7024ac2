import { join } from "node:path";
import { z } from "zod";
import { type ModelFiles, readModelFile } from "../../hub/mod.ts";
import { writeFileAtomic } from "../../data/mod.ts";
import { readingConfig } from "../config/data_config.ts";
import { parseJson, parseWith } from "../config/parse_config.ts";
import { taskConfig } from "../config/task_config.ts";

/** What other programs' files have no place for: the task of a model, its settings, and the length that it was trained with. */
const noteSchema = z.strictObject({
  format: z.literal("federa-task-1"),
  task: taskConfig,
  /** Names of the outputs, in their order. */
  labels: z.array(z.string()).min(1),
  maxLength: z.int().min(1),
  /** How the files were read that it was trained on, so that others are read the same way. */
  reading: readingConfig.optional(),
});

/** A note beside an exported adapter, for the commands on trained models. */
export type TaskNote = Omit<z.output<typeof noteSchema>, "format">;

/** Name of the note. */
export const TASK_NOTE = "federa_task.json";

/** Writes a note into a folder and returns its path. */
export async function writeTaskNote(folder: string, description: TaskNote): Promise<string> {
  const { task, labels, maxLength } = description;
  const path = join(folder, TASK_NOTE);
  const note: z.output<typeof noteSchema> = {
    format: "federa-task-1",
    task,
    labels,
    maxLength,
    ...notedReading(description),
  };
  await writeFileAtomic(path, `${JSON.stringify(note, null, 2)}\n`);
  return path;
}

/** Returns the part of a note, or of a description, that says how files are read. */
export function notedReading({ reading }: Pick<TaskNote, "reading">): Pick<TaskNote, "reading"> {
  return reading === undefined ? {} : { reading };
}

/**
 * Reads a model's note; undefined if it has none.
 *
 * @throws {ConfigError} if it isn't one.
 */
export async function readTaskNote(files: ModelFiles): Promise<TaskNote | undefined> {
  const file = await readModelFile(files, TASK_NOTE, { maxBytes: 64 << 20 });
  if (file === undefined) return undefined;
  return parseWith(noteSchema, parseJson(new TextDecoder().decode(file.bytes), file.path), file.path);
}
