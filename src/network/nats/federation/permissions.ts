import { hostSubjects, nameSchema, participantSubjects } from "./subjects.ts";

/** A user of a NATS server and what it may do, as an entry of `authorization { users = [ … ] }` has it. */
export interface FederationUser {
  readonly user: string;
  readonly permissions: {
    readonly publish: readonly string[];
    readonly subscribe: readonly string[];
  };
}

/**
 * The users of a federation for a NATS server's configuration, without passwords: `host` and each participant by its name. A participant may ask
 * in its own name and hear its own answers, and nothing else; so nobody but the host reads what it sends.
 *
 * @throws {RangeError} when a name isn't one word of a subject.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const [host, ada] = federationPermissions("mail", ["ada"]);
 * assert.deepEqual(ada, {
 *   user: "ada",
 *   permissions: { publish: ["federa.federation.mail.from.ada.*"], subscribe: ["federa.federation.mail.to.ada.*"] },
 * });
 * ```
 */
export function federationPermissions(
  federation: string,
  participants: readonly string[],
): readonly FederationUser[] {
  for (const name of [federation, ...participants]) {
    const result = nameSchema.safeParse(name);
    if (result.success) continue;
    throw new RangeError(
      `Cannot permit ${JSON.stringify(name)} in a federation: ${result.error.issues[0]!.message}`,
    );
  }
  const { requests, hosts, replies } = hostSubjects(federation);
  return [
    {
      user: "host",
      permissions: { publish: [`${replies}*.*`, hosts], subscribe: [requests, hosts, `${replies}_host.*`] },
    },
    ...participants.map((user) => ({
      user,
      permissions: {
        publish: [participantSubjects(federation, user).request("*")],
        subscribe: [`${participantSubjects(federation, user).replies}.*`],
      },
    })),
  ];
}
