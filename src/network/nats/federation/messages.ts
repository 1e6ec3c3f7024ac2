import { z } from "zod";
import { describeIssue } from "../../../data/text/describe_issue.ts";
import { invitationSchema } from "./invitation.ts";
import { FederationError } from "./errors.ts";

/** What these messages are. A later one is another number. */
export const PROTOCOL = 1;

/** The longest message that isn't part of a payload. */
export const MAX_MESSAGE_BYTES = 512 << 10;

const round = z.int().min(1).max(1e9);
const seconds = z.number().min(0).max(1e9);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256");
const sentence = z.string().max(2000);
/** What a participant proves with that it's the one that joined; a secret between it and the host. */
const token = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits");

/** A payload that comes in chunks. */
const parcel = z.strictObject({
  bytes: z.int().min(0).max(2 ** 40),
  sha256,
  chunkBytes: z.int().min(1024).max(64 << 20),
});

/** Size and SHA-256 of a payload, and of how many bytes its chunks are, but for the last. */
export type Parcel = z.output<typeof parcel>;

const phase = z.enum(["download", "training", "upload"]);

/** What participants ask. `next` waits for something to do; `fetch` and `send` carry a chunk, with these words in a header. */
export const requests = {
  invitation: z.strictObject({ protocol: z.int().min(1) }),
  join: z.strictObject({
    token,
    /** n_k. */
    numExamples: z.int().min(1).max(1e9),
    /** Fingerprint of the encoder that it will train. */
    base: sha256,
    /** Its adapter and program, in words. */
    adapter: z.string().max(300),
    software: z.string().max(100),
  }),
  next: z.strictObject({ token }),
  fetch: z.strictObject({ token, sha256, index: z.int().min(0) }),
  progress: z.strictObject({ token, round, done: z.number().min(0), total: z.number().min(0) }),
  send: z.strictObject({
    token,
    round,
    index: z.int().min(0),
    parcel,
    /** Mean training loss over its steps. */
    loss: z.number(),
  }),
  score: z.strictObject({
    token,
    round,
    /** How a model does on the participant's test data; null of one that has none. */
    evaluation: z.strictObject({
      loss: z.number(),
      scores: z.record(z.string().max(100), z.number()),
    }).nullable(),
  }),
  fail: z.strictObject({ token, round, phase, reason: sentence, diverged: z.boolean() }),
  leave: z.strictObject({ token, reason: sentence.optional() }),
} as const;

/** What a participant asks, by the kind of request. */
export type Requests = { readonly [Kind in keyof typeof requests]: z.output<(typeof requests)[Kind]> };

/** Why a request wasn't granted. */
export const refusalCodes = [
  /** Another version of these messages. */
  "protocol",
  /** The participant doesn't fit the federation, or has the name of another. */
  "unfit",
  /** The federation takes nobody any more; the next may. */
  "closed",
  /** The host doesn't know the participant: it must join. */
  "unknown",
  /** The round is over, or the participant isn't asked in it. */
  "over",
  /** The message isn't one. */
  "broken",
] as const;

const refusal = z.strictObject({ type: z.literal("refused"), code: z.enum(refusalCodes), reason: sentence });

/** A request that wasn't granted. */
export type Refusal = z.output<typeof refusal>;

const call = z.strictObject({
  type: z.literal("train"),
  round,
  learningRate: z.number().min(0).max(1e9),
  /** The participant's number, and how many there are. */
  client: z.int().min(0),
  numClients: z.int().min(1),
  /** The last round of which the host has its upload; 0 for none. */
  lastRound: z.int().min(0),
  download: parcel,
  /** Seconds until the round goes on without it. */
  deadline: seconds,
});

/** A call to train. */
export type TrainCall = z.output<typeof call>;

const scoreCall = call.omit({ learningRate: true }).extend({ type: z.literal("score") });

/** A call to score a model: the one that the round would start from. */
export type ScoreCall = z.output<typeof scoreCall>;

const end = z.strictObject({
  type: z.literal("end"),
  /** Whether all rounds were played, or it was stopped early as the host wanted. */
  finished: z.boolean(),
  reason: sentence,
  /** The global model after the last round, as a call has it; left out where the host keeps it. */
  model: call.omit({ type: true, deadline: true, learningRate: true }).optional(),
});

/** The end of a federation. */
export type End = z.output<typeof end>;

/** What the host answers. */
export const replies = {
  invitation: z.discriminatedUnion("type", [
    z.strictObject({ type: z.literal("invitation"), invitation: invitationSchema }),
    refusal,
  ]),
  join: z.discriminatedUnion("type", [z.strictObject({ type: z.literal("admitted") }), refusal]),
  next: z.discriminatedUnion("type", [
    z.strictObject({ type: z.literal("wait"), reason: sentence }),
    call,
    scoreCall,
    end,
    refusal,
  ]),
  fetch: z.discriminatedUnion("type", [z.strictObject({ type: z.literal("chunk") }), refusal]),
  progress: z.discriminatedUnion("type", [z.strictObject({ type: z.literal("heard") }), refusal]),
  send: z.discriminatedUnion("type", [
    z.strictObject({ type: z.literal("received"), isWhole: z.boolean() }),
    refusal,
  ]),
  score: z.discriminatedUnion("type", [z.strictObject({ type: z.literal("heard") }), refusal]),
  fail: z.discriminatedUnion("type", [z.strictObject({ type: z.literal("heard") }), refusal]),
  leave: z.discriminatedUnion("type", [z.strictObject({ type: z.literal("heard") }), refusal]),
} as const;

/** What the host answers, by the kind of request. */
export type Replies = { readonly [Kind in keyof typeof replies]: z.output<(typeof replies)[Kind]> };

/** The header that has the words of a message whose data is part of a payload. */
export const WORDS_HEADER = "Federa";

/**
 * Reads a message.
 *
 * @param from who sent it, for the message.
 * @throws {FederationError} when it isn't JSON that the schema knows.
 */
export function readWords<Schema extends z.ZodType>(
  schema: Schema,
  words: string | Uint8Array,
  from: string,
): z.output<Schema> {
  const action = `Cannot read a message from ${from}`;
  if (words.length > MAX_MESSAGE_BYTES) {
    throw new FederationError(`${action}: expected at most ${MAX_MESSAGE_BYTES} bytes, got ${words.length}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(
      typeof words === "string" ? words : new TextDecoder("utf-8", { fatal: true }).decode(words),
    );
  } catch (cause) {
    throw new FederationError(`${action}: it isn't JSON`, { cause });
  }
  const result = schema.safeParse(value, { error: (issue) => describeIssue(issue) });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const place = issue!.path.length === 0 ? "" : `${issue!.path.join(".")}: `;
  throw new FederationError(`${action}: ${place}${issue!.message}`);
}
