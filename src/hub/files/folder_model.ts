import { stat } from "node:fs/promises";
import { join } from "node:path";
import { HubError } from "../errors.ts";
import { printableJson } from "../../data/text/printable.ts";
import { redact } from "../redact.ts";
import { checkFileName } from "./file_name.ts";
import { isFile } from "./is_file.ts";
import { isAbsence } from "../../data/files/absence.ts";
import type { LocatedFiles } from "./local_model_files.ts";
import { isRepoName } from "../model_spec.ts";

/**
 * Opens a model in a folder.
 *
 * @throws {HubError} `not-found` if there is no such folder.
 */
export async function openFolderModel(folder: string): Promise<LocatedFiles> {
  const info = await stat(folder).catch((error) => {
    if (isAbsence(error)) return undefined;
    throw error;
  });
  if (!info?.isDirectory()) {
    const repo = repoIn(folder);
    const advice = repo === undefined
      ? "a model is a folder, hf:owner/name or npm:package@version"
      : `write hf:${repo} for the model of that name on the hub`;
    const got = printableJson(redact(folder));
    throw new HubError(
      info
        ? `Cannot open model ${got}: it is not a folder; ${advice}`
        : `Cannot open model ${got}: there is no such folder; ${advice}`,
      "not-found",
    );
  }
  const path = async (name: string) => {
    checkFileName(name);
    const path = join(folder, name);
    return await isFile(path) ? path : undefined;
  };
  return { source: folder, path, has: async (name) => await path(name) !== undefined };
}

/** The model of the hub that a text names without `hf:`, as `owner/name` or by the address of its page. */
function repoIn(text: string): string | undefined {
  const page = /^https?:\/\/[^/]*\/([^/?#]+\/[^/?#]+)/.exec(text)?.[1] ?? text;
  return isRepoName(page) && page.includes("/") ? page : undefined;
}
