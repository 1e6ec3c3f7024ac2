import { z } from "zod";
import { CorruptFileError } from "../../../../data/errors.ts";
import type { Invitation } from "../invitation.ts";
import type { ParticipantStore } from "./participant_store.ts";
import { randomHex } from "../token.ts";

const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`));
const identitySchema = z.strictObject({
  format: z.literal("federa-participant-identity-1"),
  federation: z.string(),
  name: z.string(),
  /** The run of the federation that it joined. */
  run: hex(32),
  /** What it proves with that it's the one that joined. */
  token: hex(64),
});

/** Who a participant is to a host. */
export type Identity = z.output<typeof identitySchema>;

const KEY = "identity.json";

/**
 * Who a participant was in this run of a federation, or else somebody new.
 *
 * @throws {CorruptFileError} when the store has something else under its key, or belongs to another participant.
 */
export async function openIdentity(
  store: ParticipantStore,
  { federation, run }: Pick<Invitation, "federation" | "run">,
  name: string,
): Promise<{ readonly identity: Identity; readonly isNew: boolean }> {
  const saved = await store.load(KEY);
  const before = saved && readIdentity(saved);
  if (before !== undefined && (before.federation !== federation || before.name !== name)) {
    throw new CorruptFileError(
      `Cannot join federation ${federation} as ${name} with the state of ${before.name} in federation ${before.federation}: ` +
        "give each participant a state of its own",
    );
  }
  if (before?.run === run) return { identity: before, isNew: false };
  const identity: Identity = {
    format: "federa-participant-identity-1",
    federation,
    name,
    run,
    token: randomHex(32),
  };
  await store.save(KEY, new TextEncoder().encode(`${JSON.stringify(identity, null, 2)}\n`));
  return { identity, isNew: true };
}

function readIdentity(bytes: Uint8Array): Identity {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // Told below.
  }
  const result = identitySchema.safeParse(value);
  if (result.success) return result.data;
  throw new CorruptFileError(
    "Cannot read a participant's state: its identity is damaged; remove it to join as a new one",
  );
}
