import { type ExampleKind, readExamples, type ReadExamplesOptions } from "../../../src/data/mod.ts";
import { temporaryFiles } from "../../support/temporary_files.ts";

/** Reads a file of this name and content as examples, and tells what the reader says by that name. */
export async function readFile<Kind extends ExampleKind>(
  kind: Kind,
  [name, content]: readonly [string, string],
  options: ReadExamplesOptions<Kind> = {},
) {
  const path = (await (await temporaryFiles({ [name]: content })).path(name))!;
  const notices: string[] = [];
  let classNames: readonly string[] | undefined;
  const plain = (text: string) => text.replaceAll(path, name);
  try {
    const examples = await readExamples(path, kind, {
      ...options,
      onNotice: (notice) => notices.push(plain(notice)),
      onClassNames: (names) => classNames = names,
    });
    return { examples, notices, classNames };
  } catch (error) {
    return { error: plain((error as Error).message), notices };
  }
}
