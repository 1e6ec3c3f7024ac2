import type { ParticipantStore } from "federa/network";

/**
 * Keeps what a participant needs to go on after the page was closed or loaded again, in files of this page's origin that nobody else sees.
 * Each is written beside the one before it, and takes its place when it is whole.
 *
 * @param name of the participant, which has a folder of its own.
 */
export async function pageStore(name: string): Promise<ParticipantStore> {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle(name.replace(/[^\w.-]/g, "_"), { create: true });
  return {
    async load(key) {
      try {
        const file = await (await folder.getFileHandle(key)).getFile();
        return new Uint8Array(await file.arrayBuffer());
      } catch (error) {
        if (error instanceof DOMException && error.name === "NotFoundError") return undefined;
        throw error;
      }
    },
    async save(key, bytes) {
      const writable = await (await folder.getFileHandle(key, { create: true })).createWritable();
      await writable.write(bytes);
      await writable.close();
    },
  };
}
