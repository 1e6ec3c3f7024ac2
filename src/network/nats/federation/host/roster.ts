import { FederationError } from "../errors.ts";
import { hashToken } from "../token.ts";

/** What a host knows of a participant, and keeps when its process ends. */
export interface Member {
  readonly name: string;
  /** SHA-256 of the secret that it joined with. */
  readonly tokenHash: string;
  /** n_k, as it says. */
  readonly numExamples: number;
  /** Its adapter and program, in words. */
  readonly adapter: string;
  readonly software: string;
}

/** A member, and how it is now. */
export interface Presence extends Member {
  /** When it was heard of last, in milliseconds of the monotonic clock. */
  heard: number;
  /** Why it left, if it did. */
  left?: string | undefined;
}

/** Who has joined a federation. */
export class Roster {
  readonly #members = new Map<string, Presence>();
  /** Names by client number, once the federation has begun. */
  #numbered: readonly string[] | undefined;

  /** @param saved members of a federation that had begun, by their numbers. */
  constructor(saved: readonly Member[] | undefined) {
    if (saved === undefined) return;
    // They may still wait for an answer of the host before.
    const heard = performance.now() + 5000;
    for (const each of saved) this.#members.set(each.name, { ...each, heard });
    this.#numbered = saved.map(({ name }) => name);
  }

  /** How many have joined and not left before it began. */
  get size(): number {
    return this.#members.size;
  }

  /** Whether client numbers are given. */
  get hasBegun(): boolean {
    return this.#numbered !== undefined;
  }

  /** Members by client number. */
  get members(): readonly Presence[] {
    return (this.#numbered ?? [...this.#members.keys()].sort()).map((name) => this.#members.get(name)!);
  }

  /** Takes somebody in, before it has begun. */
  add(member: Member): Presence {
    const presence = { ...member, heard: performance.now() };
    this.#members.set(member.name, presence);
    return presence;
  }

  /** Forgets one that left before it began. */
  remove(name: string): void {
    this.#members.delete(name);
  }

  /** Gives client numbers, in the order of the names: results don't depend on who came first. */
  begin(): readonly Presence[] {
    this.#numbered = [...this.#members.keys()].sort();
    return this.members;
  }

  /** The member of a name. */
  get(name: string): Presence | undefined {
    return this.#members.get(name);
  }

  /** The client number of a name; -1 before it has begun. */
  numberOf(name: string): number {
    return this.#numbered?.indexOf(name) ?? -1;
  }

  /** The member that has joined under a name with this secret; undefined of anybody else. */
  async know(name: string, token: string): Promise<Presence | undefined> {
    const member = this.#members.get(name);
    return member !== undefined && member.tokenHash === await hashToken(token) ? member : undefined;
  }

  /** Those who were heard of within some seconds and have not left. */
  present(silenceSeconds: number): Presence[] {
    return this.members.filter((each) => isPresent(each, silenceSeconds));
  }
}

/** Whether one was heard of within some seconds and has not left. */
export function isPresent({ heard, left }: Presence, silenceSeconds: number): boolean {
  return left === undefined && performance.now() - heard <= silenceSeconds * 1000;
}

/**
 * Members of a saved roster.
 *
 * @throws {FederationError} when it isn't one.
 */
export function checkMembers(members: readonly Member[]): readonly Member[] {
  const names = members.map(({ name }) => name);
  const isSorted = names.every((name, i) => i === 0 || names[i - 1]! < name);
  if (isSorted && names.length > 0) return members;
  throw new FederationError("Cannot go on with a federation: its list of participants is damaged");
}
