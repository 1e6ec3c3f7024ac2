import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createWriteStream } from "node:fs";
import { createConnection, createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

/** Options of {@link startSuperlink}. */
export interface SuperlinkOptions {
  /** The folder of Flower's programs, as `setUpFlower` gives it. */
  readonly programs: string;
  /** An empty folder, for its configuration and what it prints. */
  readonly folder: string;
  /** Port to listen on; one that is free unless given. */
  readonly port?: number;
}

/** A real SuperLink of Flower, on a port of this machine that the system chose. */
export interface Superlink {
  /** Its address for nodes, `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** Environment in which `flwr` finds it and calls nobody else. */
  readonly env: NodeJS.ProcessEnv;
  /**
   * Has it run an app, whose settings are given as in `--run-config`, and waits for its end.
   *
   * @returns what the app's server printed.
   * @throws {Error} with what was printed, when it doesn't end within so many seconds, or is refused.
   */
  run(
    app: string,
    options: {
      readonly config?: Readonly<Record<string, string | number | boolean>>;
      readonly seconds: number;
    },
  ): Promise<string>;
  /** What it has printed so far. */
  log(): Promise<string>;
  /** Sends it a signal, and what it has started: `SIGSTOP` has all of it stand still until `SIGCONT`. */
  signal(name: NodeJS.Signals): void;
  /** Ends it and what it has started. */
  stop(): Promise<void>;
}

/** Starts a SuperLink and waits until it listens. */
export async function startSuperlink(
  { programs, folder, port: given }: SuperlinkOptions,
): Promise<Superlink> {
  const port = given ?? await freePort();
  const home = join(folder, "flwr");
  await mkdir(home, { recursive: true });
  await writeFile(
    join(home, "config.toml"),
    `[superlink]\ndefault = "local"\n[superlink.local]\naddress = "127.0.0.1:${port}"\ninsecure = true\n`,
  );
  const env = {
    ...process.env,
    PATH: `${programs}:${process.env["PATH"]}`,
    FLWR_HOME: home,
    FLWR_TELEMETRY_ENABLED: "0",
    FLWR_DISABLE_UPDATE_CHECK: "1",
    FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION: "1",
    // Apps of the project leave no compiled files in it.
    PYTHONDONTWRITEBYTECODE: "1",
  };
  const logFile = join(folder, "superlink.log");
  const link = startProgram(
    join(programs, "flower-superlink"),
    ["--insecure", "--host", "127.0.0.1", "--port", `${port}`, "--disable-runtime-dependency-installation"],
    { env, logFile },
  );
  const log = () => readFile(logFile, "utf8");
  const until = Date.now() + 60_000;
  while (!await listens(port)) {
    if (link.exitCode !== null || Date.now() > until) {
      await stopProgram(link);
      throw new Error(`Cannot start a SuperLink on port ${port}: it printed\n${await log()}`);
    }
    await sleep(100);
  }
  return {
    url: `http://127.0.0.1:${port}`,
    env,
    log,
    async run(app, { config = {}, seconds }) {
      const settings = Object.entries(config).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(
        " ",
      );
      const child = spawn(join(programs, "flwr"), [
        "run",
        app,
        "local",
        "--stream",
        ...settings === "" ? [] : ["--run-config", settings],
      ], { env, stdio: ["ignore", "pipe", "pipe"] });
      let output = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => output += text);
      }
      const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
      const [code] = await once(child, "close");
      clearTimeout(timer);
      if (code === 0) return output;
      throw new Error(
        `Cannot run ${app} within ${seconds} s (exit code ${code}): it printed\n${output}\n${await log()}`,
      );
    },
    signal: (name) => process.kill(-link.pid!, name),
    stop: () => stopProgram(link),
  };
}

/** Starts a program in a process group of its own; what it prints goes into a file. */
export function startProgram(
  program: string,
  parameters: readonly string[],
  { env, logFile }: { readonly env: NodeJS.ProcessEnv; readonly logFile: string },
): ChildProcess {
  const child = spawn(program, parameters, { env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const file = createWriteStream(logFile);
  child.stdout!.pipe(file, { end: false });
  child.stderr!.pipe(file, { end: false });
  // What a test that failed has left.
  const end = () => kill(child, "SIGKILL");
  process.once("exit", end);
  child.on("close", () => {
    file.end();
    process.off("exit", end);
  });
  return child;
}

/** Ends a program of {@link startProgram} with all that it has started, gently at first. */
export async function stopProgram(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  kill(child, "SIGTERM");
  for (let i = 0; i < 100 && child.exitCode === null && child.signalCode === null; i++) await sleep(100);
  kill(child, "SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

/** Ends a program of {@link startProgram} with all that it has started, at once. */
export function killProgram(child: ChildProcess): void {
  kill(child, "SIGKILL");
}

/** Sends a signal to a program's whole group. */
function kill({ pid }: ChildProcess, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** A port of this machine that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function listens(port: number): Promise<boolean> {
  const socket = createConnection({ port, host: "127.0.0.1" });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
