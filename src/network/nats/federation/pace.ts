import type { Invitation } from "./invitation.ts";

type Silence = Pick<Invitation, "silenceSeconds">;

/** How often a participant says a word, in milliseconds: two may be lost before it counts as gone. */
export function beatMilliseconds({ silenceSeconds }: Silence): number {
  return Math.min(5000, silenceSeconds * 1000 / 3);
}

/** How long a host keeps a participant's question for work before it says that there is none, in milliseconds. */
export function holdMilliseconds(invitation: Silence): number {
  return Math.min(3000, beatMilliseconds(invitation));
}
