/** A file, and its path in the folder that was chosen. */
export interface ChosenFile {
  readonly path: string;
  readonly file: File;
}

/** The files of an input for folders or files. */
export function filesOfInput({ files }: HTMLInputElement): ChosenFile[] {
  return [...files ?? []].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** The files of what was dropped, folders and all. */
export async function filesOfDrop({ items }: DataTransfer): Promise<ChosenFile[]> {
  // Both must be asked for before the first wait: the list is emptied then.
  const dropped = [...items].map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const files = dropped.map(async ({ entry, file }) => {
    if (entry !== null) return await filesOfEntry(entry);
    return file === null ? [] : [{ path: file.name, file }];
  });
  return (await Promise.all(files)).flat();
}

/** Folders deeper than this hold no model. */
const MOST_DEPTH = 4;

async function filesOfEntry(entry: FileSystemEntry, depth = 0): Promise<ChosenFile[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject)
    );
    return [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  if (depth > MOST_DEPTH) return [];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: ChosenFile[] = [];
  for (;;) {
    // A reader gives some entries at a time, and none at the end.
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject)
    );
    if (entries.length === 0) return found;
    found.push(...(await Promise.all(entries.map((each) => filesOfEntry(each, depth + 1)))).flat());
  }
}

/** Files of a model by their names in its folder, which is the one with `config.json`. */
export function modelFilesOf(
  chosen: readonly ChosenFile[],
): { readonly name: string; readonly files: Record<string, File> } {
  const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/") + 1);
  const folders = chosen.filter(({ path }) => /(^|\/)config\.json$/.test(path)).map(({ path }) =>
    folderOf(path)
  )
    // A folder in a model's folder, such as 1_Pooling, has a config.json of its own.
    .filter((folder, _, all) => !all.some((other) => other !== folder && folder.startsWith(other)));
  const [folder, another] = folders;
  if (folder === undefined) {
    const names = chosen.slice(0, 5).map(({ path }) => path.split("/").at(-1)).join(", ");
    throw new Error(
      `Cannot find a model: no config.json among ${
        chosen.length === 0
          ? "no files at all"
          : `${chosen.length} files (${names}${chosen.length > 5 ? ", …" : ""})`
      }; choose the folder that holds config.json, model.safetensors and tokenizer.json`,
    );
  }
  if (another !== undefined) {
    throw new Error(
      `Cannot tell which model is meant: ${folder} and ${another} both hold a config.json; choose one of them`,
    );
  }
  const files = chosen.filter(({ path }) => path.startsWith(folder)).map(({ path, file }) =>
    [path.slice(folder.length), file] as const
  )
    .filter(([name]) => !name.split("/").some((part) => part.startsWith(".")));
  return { name: folder.split("/").at(-2) ?? "model", files: Object.fromEntries(files) };
}

/** Lets files be dropped on a place of the page. */
export function acceptDrops(place: HTMLElement, take: (files: Promise<ChosenFile[]>) => void): void {
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("over");
  });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    if (event.dataTransfer !== null) take(filesOfDrop(event.dataTransfer));
  });
}
