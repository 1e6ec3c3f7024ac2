import { z } from "zod";

/**
 * The name of a federation or a participant: one word of a subject, so that a server's permissions can name it.
 */
export const nameSchema = z.string().regex(
  /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/,
  "expected 1 to 64 letters, digits, - and _, the first a letter or digit",
);

/** What participants ask a host for. Each is a request of NATS's, which the host answers. */
export const requestKinds = [
  "invitation",
  "join",
  "next",
  "fetch",
  "progress",
  "score",
  "send",
  "fail",
  "leave",
] as const;

/** The last word of a request's subject. */
export type RequestKind = (typeof requestKinds)[number];

const root = (federation: string) => `federa.federation.${federation}`;

/** Where a host listens: to every participant of a federation, and to other hosts. */
export function hostSubjects(
  federation: string,
): { readonly requests: string; readonly hosts: string; readonly replies: string } {
  const own = root(federation);
  return { requests: `${own}.from.*.*`, hosts: `${own}.host`, replies: `${own}.to.` };
}

/** Where a participant asks, and where it is answered: the only subjects that it needs to be permitted. */
export function participantSubjects(
  federation: string,
  name: string,
): { request(kind: RequestKind | "*"): string; readonly replies: string } {
  const own = root(federation);
  return { request: (kind) => `${own}.from.${name}.${kind}`, replies: `${own}.to.${name}` };
}

/** Who sent a request, and what for; undefined of a subject that is none. */
export function parseRequest(
  subject: string,
): { readonly name: string; readonly kind: RequestKind } | undefined {
  const [name, kind] = subject.split(".").slice(-2);
  if (!nameSchema.safeParse(name).success) return undefined;
  return (requestKinds as readonly (string | undefined)[]).includes(kind)
    ? { name: name!, kind: kind as RequestKind }
    : undefined;
}
