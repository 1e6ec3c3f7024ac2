import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** An array that PyTorch is given. */
export interface PeerArray {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | Uint32Array;
}

/** What runs there. */
export interface PeerDescription {
  readonly device: string;
  /** Version of CUDA; null on the CPU. */
  readonly cuda: string | null;
  readonly versions: Readonly<Record<string, string>>;
}

interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly dtype: "f32" | "i32";
}

const program = fileURLToPath(new URL("torch_peer.py", import.meta.url));

/** PyTorch in a process of `python3` that does the same work on the same GPU, one request after another. */
export class TorchPeer {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #closed: Promise<void>;
  readonly #folder = mkdtempSync(join(tmpdir(), "federa-torch-"));
  #files = 0;
  #errors = "";

  /** Use {@linkcode TorchPeer.start}. */
  constructor() {
    this.#child = spawn("python3", [program], { stdio: ["pipe", "pipe", "pipe"] });
    this.#closed = new Promise((resolve) => {
      this.#child.on("error", () => resolve());
      this.#child.on("close", () => resolve());
    });
    this.#child.stdin!.on("error", () => {});
    this.#child.stderr!.setEncoding("utf8").on(
      "data",
      (text: string) => this.#errors = (this.#errors + text).slice(-4000),
    );
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    process.on("exit", () => this.close());
  }

  /**
   * Starts it and asks what it runs on.
   *
   * @throws {Error} with the reason when there is no Python or no PyTorch.
   */
  static async start(): Promise<{ peer: TorchPeer; description: PeerDescription }> {
    const peer = new TorchPeer();
    try {
      return { peer, description: await peer.#ask({ do: "describe" }) as unknown as PeerDescription };
    } catch (error) {
      peer.close();
      throw error;
    }
  }

  /** Brings a program's arrays to PyTorch's device. */
  async prepare(
    kind: string,
    arrays: Readonly<Record<string, PeerArray>>,
    settings: Readonly<Record<string, unknown>> = {},
  ): Promise<TorchProgram> {
    const path = join(this.#folder, `${this.#files++}`);
    const entries: Entry[] = [];
    const parts: Uint8Array[] = [];
    let offset = 0;
    for (const [name, { shape, data }] of Object.entries(arrays)) {
      entries.push({ name, shape, offset, dtype: data instanceof Float32Array ? "f32" : "i32" });
      parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      offset += data.byteLength;
    }
    writeFileSync(path, Buffer.concat(parts));
    try {
      const { id } = await this.#ask({ ...settings, do: "prepare", kind, arrays: { path, entries } });
      return new TorchProgram((request) => this.#ask({ ...request, id }), () => this.#result(id as number));
    } finally {
      rmSync(path);
    }
  }

  /** Ends the process. */
  close(): void {
    this.#child.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #result(id: number): Promise<Map<string, Float32Array>> {
    const path = join(this.#folder, `${this.#files++}`);
    const { entries } = await this.#ask({ do: "result", id, tf32: false, path });
    const { buffer, byteOffset } = readFileSync(path);
    rmSync(path);
    return new Map((entries as Entry[]).map(({ name, shape, offset }) => {
      const count = shape.reduce((product, extent) => product * extent, 1);
      return [name, new Float32Array(buffer.slice(byteOffset + offset, byteOffset + offset + 4 * count))];
    }));
  }

  async #ask(request: object): Promise<Record<string, unknown>> {
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#answers.next();
    if (done) {
      await this.#closed;
      const reason = this.#errors.trim().split("\n").at(-1) || "python3 can't be started";
      throw new Error(`PyTorch doesn't answer: ${reason}`);
    }
    const answer = JSON.parse(value) as Record<string, unknown>;
    if (answer["error"] !== undefined) throw new Error(`PyTorch: ${String(answer["error"])}`);
    return answer;
  }
}

/** Work that PyTorch has on its device. */
export class TorchProgram {
  readonly #ask: (request: object) => Promise<Record<string, unknown>>;
  readonly result: () => Promise<Map<string, Float32Array>>;

  /** Use {@linkcode TorchPeer.prepare}. */
  constructor(
    ask: (request: object) => Promise<Record<string, unknown>>,
    result: () => Promise<Map<string, Float32Array>>,
  ) {
    this.#ask = ask;
    this.result = result;
  }

  /** Milliseconds of `count` calls up to the end of the last, on its own clock; with TF32 where the GPU has it. */
  async run(count: number, tf32: boolean): Promise<number> {
    return (await this.#ask({ do: "run", count, tf32 }))["ms"] as number;
  }

  /** Frees its memory. */
  async release(): Promise<void> {
    await this.#ask({ do: "release" });
  }
}
