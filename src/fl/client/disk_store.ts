import { createHash } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { CorruptFileError } from "../../data/errors.ts";
import { describeCause } from "../../data/files/describe_cause.ts";
import { errorCode } from "../../data/files/error_code.ts";
import { makeFolder, writeFileAtomic } from "../../data/files/write_file.ts";
import { encodeSafetensors, readSafetensors } from "../../models/weights/safetensors.ts";
import type { HostTensors } from "../tensors.ts";
import type { ClientStore, StoredClient } from "./client_store.ts";

/**
 * A store on disk (Node only), `client-7-1a2b….safetensors` in a folder: only what is asked for is in memory. A file is written whole
 * or not at all and never changed, so that stores of earlier rounds stay as they were until {@linkcode removeUnused}.
 *
 * @param stored what is there already; nothing by default.
 *
 * @example
 * ```ts no-run
 * let store = diskStore("runs/mail-001/scaffold-fedit/clients");
 * store = await store.save(new Map([[7, kept]]));
 * ```
 */
export function diskStore(folder: string, stored: readonly StoredClient[] = []): ClientStore {
  const files = new Map(stored.map((each) => [each.client, each]));
  return {
    clients: [...files.keys()].sort((a, b) => a - b),
    files: stored,
    async load(client) {
      const found = files.get(client);
      return found && decode(await readStored(folder, found));
    },
    async save(changed) {
      if (changed.size === 0) return diskStore(folder, stored);
      await makeFolder(folder);
      const next = new Map(files);
      for (const [client, kept] of changed) next.set(client, await write(folder, client, kept));
      return diskStore(folder, [...next.values()].sort((a, b) => a.client - b.client));
    },
  };
}

/**
 * The bytes of what a client keeps.
 *
 * @throws {CorruptFileError} when the file is missing, or isn't the one that was written.
 */
export async function readStored(
  folder: string,
  { client, file, sha256 }: StoredClient,
): Promise<Uint8Array> {
  const path = join(folder, file);
  const action = `Cannot read what client ${client} keeps, ${path}`;
  const bytes = await readFile(path).catch((cause) => {
    if (errorCode(cause) === undefined) throw cause;
    throw new CorruptFileError(`${action}: ${describeCause(cause)}`, { cause });
  });
  if (hashOf(bytes) !== sha256) {
    throw new CorruptFileError(`${action}: its SHA-256 isn't the one that it was written with`);
  }
  return bytes;
}

/** Removes the files of a folder that none of some stores has. */
export async function removeUnused(folder: string, used: Iterable<StoredClient>): Promise<void> {
  const kept = new Set(Array.from(used, ({ file }) => file));
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  for (const name of names) {
    if (/^client-\d+-[0-9a-f]+\.safetensors/.test(name) && !kept.has(name)) {
      await rm(join(folder, name), { force: true });
    }
  }
}

async function write(folder: string, client: number, kept: HostTensors): Promise<StoredClient> {
  const bytes = encodeSafetensors(
    new Map([...kept].map(([name, { shape, data }]) => [name, { dtype: "F32", shape, data }])),
  );
  const sha256 = hashOf(bytes);
  const file = `client-${client}-${sha256.slice(0, 24)}.safetensors`;
  await writeFileAtomic(join(folder, file), bytes);
  return { client, file, sha256 };
}

function decode(bytes: Uint8Array): HostTensors {
  const { tensors } = readSafetensors(bytes);
  return new Map(
    [...tensors].map(([name, { shape, data }]) => [name, { shape, data: data as Float32Array }]),
  );
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
