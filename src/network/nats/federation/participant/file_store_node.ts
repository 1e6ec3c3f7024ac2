import { chmod, readFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, writeFileAtomic } from "../../../../data/mod.ts";
import { errorCode } from "../../../../data/files/error_code.ts";
import type { ParticipantStore } from "./participant_store.ts";

/**
 * A participant's store in a folder (Node only), whose files its owner alone can read: they hold its secret and what it keeps to itself.
 *
 * @example
 * ```ts no-run
 * const store = fileStore(".federa/mail/ada");
 * ```
 */
export function fileStore(folder: string): ParticipantStore {
  return {
    async load(key) {
      try {
        const bytes = await readFile(join(folder, key));
        return new Uint8Array(bytes);
      } catch (error) {
        if (errorCode(error) === "ENOENT") return undefined;
        throw error;
      }
    },
    async save(key, bytes) {
      await makeFolder(folder);
      await chmod(folder, 0o700);
      await writeFileAtomic(join(folder, key), bytes);
      await chmod(join(folder, key), 0o600);
    },
  };
}
