import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { CorruptFileError, writeFileAtomic } from "../../data/mod.ts";
import { describeCause } from "../../data/files/describe_cause.ts";
import { errorCode } from "../../data/files/error_code.ts";
import type { Gpu } from "../../engine/mod.ts";
import { decodeRunState, diskStore, encodeRunState, type RunState, type StoredClient } from "../../fl/mod.ts";
import { readStored, removeUnused } from "../../fl/client/disk_store.ts";
import { disposeTree } from "../../fl/tree.ts";
import { type Identity, identityParts } from "./identity.ts";

/** A state that was read, and what it says it follows from. */
export interface Checkpoint {
  readonly state: RunState;
  readonly identity: Identity;
  /** The adapter that it was computed on. */
  readonly adapter: string;
}

const noChecksum = "0".repeat(64);
const checksumField = (checksum: string) => `"checksum":"${checksum}"`;

/**
 * The checkpoints of one method, `checkpoint-000012.safetensors` in its folder: the state after a round, what its bits follow
 * from, and a SHA-256 of the whole file.
 */
export class Checkpoints {
  readonly #folder: string;
  /** The clients' files that the checkpoints of this process refer to, by round. */
  readonly #clientFiles = new Map<number, readonly StoredClient[]>();

  /** @param folder of the method. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Writes the state after a round whole or not at all, and keeps the one before it.
   *
   * @throws {WriteError} when it can't be written.
   */
  async write(
    state: RunState,
    { identity, adapter }: { readonly identity: Identity; readonly adapter: string },
  ): Promise<void> {
    const bytes = await encodeRunState(state, { metadata: { ...identity, adapter, checksum: noChecksum } });
    const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const checksum = createHash("sha256").update(file).digest("hex");
    file.write(checksumField(checksum), file.indexOf(checksumField(noChecksum)));
    await writeFileAtomic(this.pathOf(state.round), bytes);
    this.#note(state);
    await this.prune(2);
  }

  /** Rounds after which there is a checkpoint, the last first. */
  async rounds(): Promise<number[]> {
    const names = await readdir(this.#folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    return names.flatMap((name) => /^checkpoint-(\d{6,})\.safetensors$/.exec(name)?.[1] ?? []).map(Number)
      .sort((a, b) => b - a);
  }

  /**
   * Reads the state after a round, its tensors onto a device.
   *
   * @throws {CorruptFileError} when the file can't be read, is damaged, or was written by a later version.
   */
  async read(gpu: Gpu, round: number): Promise<Checkpoint> {
    const path = this.pathOf(round);
    try {
      const { state, metadata } = decodeRunState(gpu, checked(await readFile(path)), {
        openClients: (files) => diskStore(this.clientFolder, files),
      });
      try {
        for (const each of state.clients.files ?? []) await readStored(this.clientFolder, each);
      } catch (error) {
        disposeTree(state.method);
        throw error;
      }
      this.#note(state);
      const { adapter = "" } = metadata;
      return { state, identity: identityIn(metadata), adapter };
    } catch (cause) {
      if (!(cause instanceof CorruptFileError) && errorCode(cause) === undefined) throw cause;
      throw new CorruptFileError(`Cannot use checkpoint ${path}: ${describeCause(cause)}`, { cause });
    }
  }

  /** Removes the checkpoints of later rounds, which can't be used. */
  async removeAfter(round: number): Promise<void> {
    for (const later of (await this.rounds()).filter((each) => each > round)) {
      await rm(this.pathOf(later), { force: true });
    }
  }

  /** Removes all but the last checkpoints, and the clients' files that none of them refers to. */
  async prune(kept: number): Promise<void> {
    const rounds = await this.rounds();
    for (const round of rounds.slice(kept)) await rm(this.pathOf(round), { force: true });
    const files = rounds.slice(0, kept).map((round) => this.#clientFiles.get(round));
    // One that this process has neither written nor read may refer to any.
    if (files.includes(undefined)) return;
    await removeUnused(this.clientFolder, (files as StoredClient[][]).flat());
  }

  /** Where files of clients are. */
  get clientFolder(): string {
    return join(this.#folder, "clients");
  }

  #note({ round, clients: { files = [] } }: RunState): void {
    this.#clientFiles.set(round, files);
  }

  /** Where the checkpoint of a round is. */
  pathOf(round: number): string {
    return join(this.#folder, `checkpoint-${String(round).padStart(6, "0")}.safetensors`);
  }
}

function identityIn(metadata: Readonly<Record<string, string>>): Identity {
  return Object.fromEntries(identityParts.map((part) => [part, metadata[part] ?? ""])) as unknown as Identity;
}

/** @throws {CorruptFileError} when a file isn't what was written. */
function checked(bytes: Buffer): Uint8Array {
  const [, before] = /"checksum":"([0-9a-f]{64})"/.exec(headerOf(bytes)) ?? [];
  if (before === undefined) throw new CorruptFileError("it is truncated or damaged: it has no checksum");
  const blank = Buffer.from(bytes);
  blank.write(checksumField(noChecksum), blank.indexOf(checksumField(before)));
  if (createHash("sha256").update(blank).digest("hex") !== before) {
    throw new CorruptFileError(
      "it is truncated or damaged: its SHA-256 isn't the one that it was written with",
    );
  }
  return bytes;
}

function headerOf(bytes: Buffer): string {
  if (bytes.length < 8) return "";
  const length = Math.min(bytes.length - 8, Number(bytes.readBigUInt64LE(0)));
  return bytes.toString("latin1", 8, 8 + length);
}
