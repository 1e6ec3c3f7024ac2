import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setUpNats } from "../../scripts/setup_nats.ts";

/** Options of {@linkcode startNats}. */
export interface NatsServerOptions {
  /** Listens for WebSocket too, without TLS. */
  readonly websocket?: boolean;
  /** Files in PEM; clients must then use TLS. `ca` has clients show certificates of their own. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
  /** Lines of the server's configuration, such as an `authorization { … }` block. */
  readonly config?: string;
  /** The folder of JetStream, so that a server that is started again goes on with it. */
  readonly folder?: string;
  /** The port for clients, for a server that is started again; a free one by default. */
  readonly port?: number;
}

/** A server that runs. */
export interface NatsServer {
  /** `nats://127.0.0.1:PORT`, or `tls://…` where it has certificates. */
  readonly url: string;
  readonly port: number;
  /** `ws://127.0.0.1:PORT`; empty where it doesn't listen for WebSocket. */
  readonly websocketUrl: string;
  readonly folder: string;
  readonly pid: number;
  /** What it has said so far. */
  log(): string;
  /** Ends it, at once or (by default) as it likes, and waits for that. */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

let found: Promise<{ path: string } | { problem: string }> | undefined;

/** The program of nats-server, set up where there is none. */
function natsProgram(): Promise<{ path: string } | { problem: string }> {
  return found ??= setUpNats({ report: (line) => console.error(line) }).then(
    (path) => ({ path }),
    (error: Error) => ({ problem: error.message }),
  );
}

/** Why a test that needs a NATS server can't run, for its `skip`; false where one is there or could be set up. */
export async function withoutNats(): Promise<string | false> {
  const program = await natsProgram();
  return "problem" in program && program.problem;
}

/** Starts a nats-server on loopback, with a port that the system chooses and JetStream in a temporary folder. */
export async function startNats(options: NatsServerOptions = {}): Promise<NatsServer> {
  const { websocket = false, tls, config = "", port = -1 } = options;
  const program = await natsProgram();
  if ("problem" in program) throw new Error(program.problem);
  const folder = options.folder ?? await mkdtemp(join(tmpdir(), "federa-nats-"));
  await mkdir(join(folder, "jetstream"), { recursive: true });
  const file = join(folder, "nats.conf");
  const quoted = (text: string) => JSON.stringify(text);
  await writeFile(
    file,
    [
      `listen: "127.0.0.1:${port}"`,
      `jetstream { store_dir: ${quoted(join(folder, "jetstream"))} }`,
      ...websocket ? [`websocket { listen: "127.0.0.1:-1", no_tls: true }`] : [],
      ...tls
        ? [
          `tls { cert_file: ${quoted(tls.cert)}, key_file: ${quoted(tls.key)}` +
          `${tls.ca ? `, ca_file: ${quoted(tls.ca)}, verify: true` : ""} }`,
        ]
        : [],
      config,
    ].join("\n"),
  );
  const child = spawn(program.path, ["-c", file], { stdio: ["ignore", "ignore", "pipe"] });
  const killed = () => child.kill("SIGKILL");
  process.once("exit", killed);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let log = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => log += text);
  await started(child, () => log);
  const chosen = Number(/client connections on [^\n]*:(\d+)/.exec(log)?.[1]);
  const stop = async (signal: "SIGTERM" | "SIGKILL" = "SIGTERM") => {
    process.off("exit", killed);
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await ended;
    if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
  };
  return {
    url: `${tls ? "tls" : "nats"}://127.0.0.1:${chosen}`,
    port: chosen,
    websocketUrl: websocket ? `ws://127.0.0.1:${/websocket clients on \S*:(\d+)/.exec(log)?.[1]}` : "",
    folder,
    pid: child.pid!,
    log: () => log,
    stop,
    [Symbol.asyncDispose]: () => stop(),
  };
}

/** Waits until a server listens. */
async function started(child: ChildProcess, log: () => string): Promise<void> {
  const limit = Date.now() + 20_000;
  while (!/Server is ready/.test(log())) {
    if (child.exitCode !== null) throw new Error(`nats-server ended with ${child.exitCode}:\n${log()}`);
    if (Date.now() > limit) {
      child.kill("SIGKILL");
      throw new Error(`nats-server wasn't ready within 20 s:\n${log()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
