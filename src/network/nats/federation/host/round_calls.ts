import type { Client, Lost } from "../../../../fl/mod.ts";
import type { Evaluation } from "../../../../tasks/mod.ts";
import type { ScoreCall, TrainCall } from "../messages.ts";
import { FederationError } from "../errors.ts";
import { Incoming, type Outgoing, sameParcel } from "../parcels.ts";
import type { Parcel } from "../messages.ts";

/** One participant's part of a round, while it's open. */
export interface RoundCall {
  readonly name: string;
  readonly client: Client;
  readonly words: TrainCall | ScoreCall;
  readonly download: Outgoing;
  /** Bytes that count as sent to it. */
  readonly bytesDown: number;
  /** The most bytes that its upload may have. */
  readonly maxUpload: number;
}

/** What a participant has sent. */
export interface Upload {
  readonly call: RoundCall;
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly loss: number;
}

/** What a participant says of a model, if it has test data. */
export interface Score {
  readonly call: RoundCall;
  readonly evaluation: Evaluation | null;
}

/** What became of a call. */
export type CallResult = Upload | Score | Lost;

interface Entry {
  readonly call: RoundCall;
  phase: Lost["phase"];
  incoming: Incoming | undefined;
  isDone: boolean;
}

/** The calls of a round: who is asked, how far each is, and what has come back. */
export class RoundCalls {
  readonly round: number;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #results: CallResult[] = [];
  #open: number;
  #wake: () => void = () => {};

  constructor(round: number, calls: readonly RoundCall[]) {
    this.round = round;
    this.#entries = new Map(
      calls.map((call) => [call.name, { call, phase: "download", incoming: undefined, isDone: false }]),
    );
    this.#open = calls.length;
  }

  /** The call of a participant that hasn't come to an end; undefined where there is none. */
  open(name: string): RoundCall | undefined {
    return this.#find(name)?.call;
  }

  /** Whether a participant was asked and has sent all, or was lost. */
  isDone(name: string): boolean {
    return this.#entries.get(name)?.isDone ?? false;
  }

  /** Names whose calls are open. */
  get waitingFor(): string[] {
    return [...this.#entries].flatMap(([name, { isDone }]) => isDone ? [] : [name]);
  }

  /** Notes how far a participant is. */
  reach(name: string, phase: Lost["phase"]): void {
    const entry = this.#find(name);
    if (entry !== undefined) entry.phase = phase;
  }

  /**
   * Takes a chunk of an upload; one of another parcel begins it anew.
   *
   * @returns whether the upload is whole.
   * @throws {FederationError} when it is larger than it may be, or the chunk isn't one of it.
   */
  async receive(
    name: string,
    { index, parcel, loss }: { readonly index: number; readonly parcel: Parcel; readonly loss: number },
    chunk: Uint8Array,
  ): Promise<boolean> {
    const entry = this.#find(name);
    if (entry === undefined) return true;
    if (entry.call.words.type !== "train") {
      throw new FederationError("Cannot take an upload: a score was asked for");
    }
    entry.phase = "upload";
    if (entry.incoming === undefined || !sameParcel(entry.incoming.parcel, parcel)) {
      entry.incoming = new Incoming(parcel, entry.call.maxUpload);
    }
    const { incoming } = entry;
    incoming.add(index, chunk);
    if (incoming.missing.size > 0) return false;
    const payload = await incoming.open();
    if (!entry.isDone) this.#end(entry, { call: entry.call, payload, loss });
    return true;
  }

  /** Takes a score. */
  score(name: string, evaluation: Evaluation | null): void {
    const entry = this.#find(name);
    if (entry !== undefined) this.#end(entry, { call: entry.call, evaluation });
  }

  /** Goes on without a participant, for a reason. */
  lose(
    name: string,
    { reason, phase, diverged }: {
      readonly reason: string;
      readonly phase?: Lost["phase"];
      readonly diverged?: boolean;
    },
  ): void {
    const entry = this.#find(name);
    if (entry === undefined) return;
    const { client } = entry.call;
    this.#end(entry, { client, phase: phase ?? entry.phase, reason, ...(diverged && { diverged }) });
  }

  /** What becomes of each, as it does. */
  async *results(): AsyncGenerator<CallResult> {
    for (;;) {
      yield* this.#results.splice(0);
      if (this.#open === 0 && this.#results.length === 0) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (this.#results.length > 0) resolve();
      });
    }
  }

  #find(name: string): Entry | undefined {
    const entry = this.#entries.get(name);
    return entry?.isDone ? undefined : entry;
  }

  #end(entry: Entry, result: CallResult): void {
    entry.isDone = true;
    entry.incoming = undefined;
    this.#open--;
    this.#results.push(result);
    this.#wake();
  }
}
