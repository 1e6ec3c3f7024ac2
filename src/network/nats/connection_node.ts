import { readFile } from "node:fs/promises";
import process from "node:process";
import { describeCause } from "../../data/files/describe_cause.ts";
import { errorCode } from "../../data/files/error_code.ts";
import type { NatsCredentials, NatsOptions } from "./connection.ts";
import { NatsError } from "./errors.ts";

/** Names of files that hold what {@linkcode connectNats} is let in with. */
export interface NatsFiles {
  /** A credentials file, and the file of an nkey's seed. */
  readonly creds?: string | undefined;
  readonly nkey?: string | undefined;
  /** Certificates in PEM: of the authority that signed the server's, and one's own with its key. */
  readonly tlsca?: string | undefined;
  readonly tlscert?: string | undefined;
  readonly tlskey?: string | undefined;
}

/** The environment variable for each file, those of the `nats` command. */
const variables: Readonly<Record<keyof NatsFiles, string>> = {
  creds: "NATS_CREDS",
  nkey: "NATS_NKEY",
  tlsca: "NATS_CA",
  tlscert: "NATS_CERT",
  tlskey: "NATS_KEY",
};

/**
 * Reads who one is to a NATS server from files and from the environment: `NATS_USER`, `NATS_PASSWORD`, `NATS_TOKEN`, and
 * `NATS_CREDS`, `NATS_NKEY`, `NATS_CA`, `NATS_CERT`, `NATS_KEY` for files that aren't given. Secrets stay out of the
 * command line, which every user of a machine may read.
 *
 * @throws {NatsError} when a file can't be read, or a certificate lacks its key.
 */
export async function readNatsFiles(
  files: NatsFiles = {},
): Promise<NatsCredentials & Pick<NatsOptions, "tls">> {
  const names = Object.keys(variables) as (keyof NatsFiles)[];
  const [creds, nkey, ca, cert, key] = await Promise.all(names.map(async (name) => {
    const path = files[name] ?? variable(variables[name]);
    return path === undefined ? undefined : await read(path, name);
  }));
  if ((cert === undefined) !== (key === undefined)) {
    throw new NatsError("Cannot show a certificate to NATS: expected both --tlscert and --tlskey");
  }
  const isFile = creds !== undefined || nkey !== undefined;
  return {
    ...(!isFile && {
      user: variable("NATS_USER"),
      password: variable("NATS_PASSWORD"),
      token: variable("NATS_TOKEN"),
    }),
    creds,
    nkey,
    ...((ca ?? cert) !== undefined && {
      tls: { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert, key }) },
    }),
  };
}

function variable(name: string): string | undefined {
  return process.env[name] || undefined;
}

async function read(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if (errorCode(cause) === undefined) throw cause;
    throw new NatsError(`Cannot read ${path} for --${what}: ${describeCause(cause)}`, { cause });
  }
}
