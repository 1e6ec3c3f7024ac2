import type { Answer, Handlers } from "./desk.ts";
import { refuse } from "./desk.ts";
import { holdMilliseconds } from "../pace.ts";
import type { FinalModel } from "./final_models.ts";
import type { Invitation } from "../invitation.ts";
import { type End, PROTOCOL, type Requests } from "../messages.ts";
import { chunkOf } from "../parcels.ts";
import { hashToken } from "../token.ts";
import { isPresent, type Presence, type Roster } from "./roster.ts";
import type { RoundCalls } from "./round_calls.ts";

/** What a host's side reports of participants. */
export type ParticipantNews =
  | { readonly type: "participant-joined"; readonly participant: Presence; readonly missing: number }
  | { readonly type: "participant-back"; readonly participant: Presence }
  | { readonly type: "participant-left"; readonly participant: Presence; readonly reason: string }
  | { readonly type: "participant-refused"; readonly name: string; readonly reason: string }
  | {
    readonly type: "participant-progress";
    readonly name: string;
    readonly round: number;
    readonly done: number;
    readonly total: number;
  };

/** Options of {@linkcode Reception}. */
export interface ReceptionOptions {
  readonly invitation: Invitation;
  readonly roster: Roster;
  readonly onNews?: ((news: ParticipantNews) => void) | undefined;
}

/** The end of a federation, with the global model of each participant's own where it's shared. */
export interface Ending {
  readonly words: Omit<End, "model">;
  /** What a participant gets of the global model; undefined where the host keeps it. */
  model?(name: string): FinalModel | undefined;
}

/** What a host answers its participants: who joins, what there is to do, and what arrives. */
export class Reception {
  readonly #options: ReceptionOptions;
  readonly #waiting = new Map<string, () => void>();
  #calls: RoundCalls | undefined;
  #end: Ending | undefined;
  #gone = new Set<string>();
  #isPausing = false;
  #changed: () => void = () => {};

  constructor(options: ReceptionOptions) {
    this.#options = options;
  }

  /** How each kind of request is answered. */
  get handlers(): Handlers {
    return {
      invitation: async (_, { protocol }) => ({
        words: protocol === PROTOCOL ? { type: "invitation", invitation: this.#options.invitation } : refuse(
          "protocol",
          `the host speaks version ${PROTOCOL} of the protocol, the participant ${protocol}: update the older of them`,
        ),
      }),
      join: (name, request) => this.#join(name, request),
      next: (name, { token }) => this.#with(name, token, () => this.#next(name)),
      fetch: (name, request) => this.#with(name, request.token, () => this.#fetch(name, request)),
      progress: (name, request) => this.#with(name, request.token, () => this.#progress(name, request)),
      score: (name, request) => this.#with(name, request.token, () => this.#score(name, request)),
      send: (name, request, chunk) => this.#with(name, request.token, () => this.#send(name, request, chunk)),
      fail: (name, request) => this.#with(name, request.token, () => this.#fail(name, request)),
      leave: (name, { token, reason }) =>
        this.#with(name, token, (member) => this.#leave(member, reason), { isLeaving: true }),
    };
  }

  /** Waits until something is true of the participants, at most some seconds; whether it is. */
  async until(isSo: () => boolean, seconds: number): Promise<boolean> {
    const deadline = performance.now() + seconds * 1000;
    while (!isSo()) {
      const left = deadline - performance.now();
      if (left <= 0) return false;
      await within(new Promise<void>((resolve) => this.#changed = resolve), Math.min(left, 500));
    }
    return true;
  }

  /** Asks participants; what becomes of it comes from the calls. */
  call(calls: RoundCalls): void {
    this.#calls = calls;
    this.#wakeAll();
  }

  /** Asks nobody any more. */
  endRound(): void {
    this.#calls = undefined;
  }

  /** Answers all who wait for work, so that they ask the next host soon. */
  pause(): void {
    this.#isPausing = true;
    this.#wakeAll();
  }

  /** Tells everybody that the federation is over, and waits some seconds until those who are present have heard it. */
  async end(end: Ending, seconds: number): Promise<void> {
    this.#end = end;
    this.#wakeAll();
    const { roster, invitation } = this.#options;
    const present = () => roster.present(invitation.silenceSeconds);
    await this.until(() => present().every(({ name }) => this.#gone.has(name)), seconds);
  }

  async #join(name: string, request: Requests["join"]): Promise<Answer<"join">> {
    const { roster, invitation, onNews } = this.#options;
    const no = (code: Parameters<typeof refuse>[0], reason: string) => {
      onNews?.({ type: "participant-refused", name, reason });
      return { words: refuse(code, reason) };
    };
    const { token, numExamples, base, adapter, software } = request;
    if (this.#end !== undefined) return no("closed", `the federation is over: ${this.#end.words.reason}`);
    const tokenHash = await hashToken(token);
    const known = roster.get(name);
    const isSame = known?.tokenHash === tokenHash;
    if (!isSame && roster.hasBegun) {
      return no(
        "closed",
        known === undefined
          ? "the federation has begun without it: it can join the next one"
          : `another participant has joined as ${name}: give it back the state that it had, or join the next federation`,
      );
    }
    if (known !== undefined && !isSame && isPresent(known, invitation.silenceSeconds)) {
      return no("unfit", `another participant has joined as ${name}: take another name`);
    }
    if (base !== invitation.model.fingerprint) {
      return no(
        "unfit",
        `its model has other weights than the host's, ${invitation.model.source}: expected the fingerprint ` +
          `${invitation.model.fingerprint.slice(0, 12)}…, got ${base.slice(0, 12)}…`,
      );
    }
    if (isSame && known.numExamples !== numExamples) {
      return no(
        "unfit",
        `it joined with ${known.numExamples} examples, and comes back with ${numExamples}: give it the data that it had`,
      );
    }
    if (isSame) {
      this.#hear(known);
      return { words: { type: "admitted" } };
    }
    if (known === undefined && roster.size >= invitation.participants) {
      return no("closed", "the federation has all the participants that it begins with");
    }
    const participant = roster.add({ name, tokenHash, numExamples, adapter, software });
    onNews?.({ type: "participant-joined", participant, missing: invitation.participants - roster.size });
    this.#changed();
    return { words: { type: "admitted" } };
  }

  async #next(name: string): Promise<Answer<"next">> {
    const until = performance.now() + holdMilliseconds(this.#options.invitation);
    for (;;) {
      const words = this.#work(name);
      const left = until - performance.now();
      if (words.type !== "wait" || left <= 0 || this.#isPausing) return { words };
      await within(new Promise<void>((resolve) => this.#waiting.set(name, resolve)), left);
    }
  }

  /** What there is to do for a participant. */
  #work(name: string): Answer<"next">["words"] {
    if (this.#end !== undefined) {
      const model = this.#end.model?.(name)?.words;
      return { ...this.#end.words, ...(model && { model }) };
    }
    const call = this.#calls?.open(name);
    if (call !== undefined) return call.words;
    const { roster, invitation } = this.#options;
    const missing = invitation.participants - roster.size;
    return {
      type: "wait",
      reason: roster.hasBegun ? "the next round" : `${missing} more participant${missing === 1 ? "" : "s"}`,
    };
  }

  async #fetch(name: string, { sha256, index }: Requests["fetch"]): Promise<Answer<"fetch">> {
    const download = this.#end === undefined
      ? this.#calls?.open(name)?.download
      : this.#end.model?.(name)?.download;
    if (download?.parcel.sha256 !== sha256) return { words: refuse("over", "the round is over") };
    return { words: { type: "chunk" }, chunk: chunkOf(download, index) };
  }

  async #progress(name: string, { round, done, total }: Requests["progress"]): Promise<Answer<"progress">> {
    if (this.#calls?.round !== round || this.#calls.open(name) === undefined) return { words: over(round) };
    this.#calls.reach(name, "training");
    this.#options.onNews?.({ type: "participant-progress", name, round, done, total });
    return { words: { type: "heard" } };
  }

  async #send(
    name: string,
    { round, ...upload }: Requests["send"],
    chunk: Uint8Array,
  ): Promise<Answer<"send">> {
    const calls = this.#calls;
    if (calls?.round !== round) return { words: over(round) };
    if (calls.open(name) === undefined && !calls.isDone(name)) return { words: over(round) };
    try {
      return { words: { type: "received", isWhole: await calls.receive(name, upload, chunk) } };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      calls.lose(name, { reason: error.message, phase: "upload" });
      return { words: refuse("broken", error.message) };
    }
  }

  async #score(name: string, { round, evaluation }: Requests["score"]): Promise<Answer<"score">> {
    const call = this.#calls?.round === round ? this.#calls.open(name) : undefined;
    if (call?.words.type !== "score") return { words: over(round) };
    this.#calls!.score(name, evaluation);
    return { words: { type: "heard" } };
  }

  async #fail(name: string, { round, phase, reason, diverged }: Requests["fail"]): Promise<Answer<"fail">> {
    if (this.#calls?.round === round) this.#calls.lose(name, { reason, phase, diverged });
    return { words: { type: "heard" } };
  }

  async #leave(member: Presence, reason = "it left"): Promise<Answer<"leave">> {
    const { roster, onNews } = this.#options;
    const { name } = member;
    this.#gone.add(name);
    if (member.left === undefined && this.#end === undefined) {
      onNews?.({ type: "participant-left", participant: member, reason });
    }
    member.left = reason;
    this.#calls?.lose(name, { reason });
    if (!roster.hasBegun) roster.remove(name);
    this.#changed();
    return { words: { type: "heard" } };
  }

  /** Answers a member that proves to be it. */
  async #with<Kind extends keyof Handlers>(
    name: string,
    token: string,
    answer: (member: Presence) => Promise<Answer<Kind>>,
    { isLeaving = false }: { readonly isLeaving?: boolean } = {},
  ): Promise<Answer<Kind>> {
    const member = await this.#options.roster.know(name, token);
    if (member === undefined) {
      return { words: refuse("unknown", `nobody has joined as ${name} with this secret`) } as Answer<Kind>;
    }
    if (!isLeaving) this.#hear(member);
    return await answer(member);
  }

  #hear(member: Presence): void {
    const wasAway = !isPresent(member, this.#options.invitation.silenceSeconds);
    member.heard = performance.now();
    member.left = undefined;
    // Whoever has come back wants to hear of the end.
    this.#gone.delete(member.name);
    if (!wasAway) return;
    this.#changed();
    this.#options.onNews?.({ type: "participant-back", participant: member });
  }

  #wakeAll(): void {
    for (const wake of this.#waiting.values()) wake();
    this.#waiting.clear();
  }
}

function over(round: number) {
  return refuse("over", `round ${round} is over for this participant`);
}

/** Waits for a promise, at most some milliseconds. */
async function within(promise: Promise<unknown>, milliseconds: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  await Promise.race([
    promise,
    new Promise<void>((resolve) => timer = setTimeout(resolve, milliseconds)),
  ]);
  clearTimeout(timer);
}
