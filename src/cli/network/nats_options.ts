import type { Command } from "commander";
import { readNatsFiles } from "../../network/nats/connection_node.ts";
import type { NatsOptions } from "../../network/nats/connection.ts";
import { parsePath } from "../terminal/start.ts";

/** Files of the command line that say who one is to NATS. */
export interface NatsFlags {
  readonly creds?: string;
  readonly nkey?: string;
  readonly tlsca?: string;
  readonly tlscert?: string;
  readonly tlskey?: string;
}

/** What a command's help says of credentials that aren't on the command line. */
export const natsHelp =
  "NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_CREDS, NATS_NKEY, NATS_CA, NATS_CERT and NATS_KEY of the environment\n" +
  "mean what they mean to the nats command.";

/** Adds the options that say who one is to NATS. */
export function withNatsOptions(command: Command): Command {
  return command
    .option("--creds <FILE>", "NATS credentials", parsePath)
    .option("--nkey <FILE>", "the seed of a NATS nkey", parsePath)
    .option("--tlsca <FILE>", "certificate of the authority that signed the server's", parsePath)
    .option("--tlscert <FILE>", "a certificate to show to the server", parsePath)
    .option("--tlskey <FILE>", "the key of that certificate", parsePath);
}

/** Reads the files that the command line names. */
export async function natsOptionsOf(
  { creds, nkey, tlsca, tlscert, tlskey }: NatsFlags,
): Promise<NatsOptions> {
  return await readNatsFiles({ creds, nkey, tlsca, tlscert, tlskey });
}
