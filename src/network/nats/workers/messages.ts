import { z } from "zod";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const index = z.int().min(0).max(1e9);
const word = z.string().min(1).max(200);
const reason = z.string().max(4000);
/** Bytes of an object. */
const size = z.int().min(0).max(2 ** 42);

/** An object in the bucket. */
export const objectSchema = z.strictObject({ sha256, size });
/** An object in the bucket. */
export type ObjectReference = z.output<typeof objectSchema>;

/** What the bits of a process follow from beside its work. */
export const kindSchema = z.strictObject({
  /** Version of the package. */
  federa: word,
  arithmetic: z.int().min(0),
  adapter: word,
});
/** What the bits of a process follow from beside its work. */
export type WorkerKind = z.output<typeof kindSchema>;

/** A worker that wants to take part. */
export const helloSchema = z.strictObject({ worker: word, kind: kindSchema });

/** What a run answers. */
export const welcomeSchema = z.union([
  z.strictObject({
    session: word,
    /** After how long without a word a worker's block is given to another. */
    ackWaitSeconds: z.number().gt(0).max(86_400),
    /** How often a block is tried. */
    attempts: z.int().min(1).max(1000),
  }),
  z.strictObject({ refused: reason }),
]);
/** What a run answers a worker that it takes. */
export type Welcome = Extract<z.output<typeof welcomeSchema>, { session: string }>;

/** A worker that is there. */
export const aliveSchema = z.strictObject({ worker: word, session: word, leaves: z.boolean().optional() });

/** What a run tells its workers. */
export const controlSchema = z.discriminatedUnion("kind", [
  /** Nobody waits for the blocks of a turn, and of those before it, any more. */
  z.strictObject({ kind: z.literal("cancel"), session: word, turn: index }),
  /** The run is over, or was ended. */
  z.strictObject({ kind: z.literal("over"), session: word }),
  /** A worker is to leave. */
  z.strictObject({ kind: z.literal("leave"), session: word, worker: word, reason }),
]);

const clientSchema = z.strictObject({
  id: index,
  numExamples: z.int().min(1),
  lastRound: index,
  labelDivergence: z.number().optional(),
});

/** A block of clients to train. */
export const blockSchema = z.strictObject({
  session: word,
  /** What is run, see {@linkcode jobSchema}. */
  job: objectSchema,
  round: index,
  /** Counts the rounds of the session, those of other methods and those that are played again too. */
  turn: index,
  /** The method's state at the start of the round. */
  state: objectSchema,
  /** Its place in the round. */
  block: index,
  /** How often it was handed out before. */
  attempt: index,
  clients: z.array(clientSchema).min(1).max(10_000),
  /** What its clients have kept, where one has. */
  kept: objectSchema.optional(),
});
/** A block of clients to train. */
export type BlockOfWork = z.output<typeof blockSchema>;

/** What became of a block. */
export const resultSchema = z.strictObject({
  session: word,
  turn: index,
  block: index,
  worker: word,
  /** What its clients sent, and what became of the others. */
  outcome: objectSchema.optional(),
  /** Why there is none. */
  failed: reason.optional(),
  /** Whether it has been tried often enough. */
  isLast: z.boolean().optional(),
  /** Seconds that the training took. */
  seconds: z.number().min(0).optional(),
}).refine(
  ({ outcome, failed }) => (outcome === undefined) !== (failed === undefined),
  "expected outcome or failed",
);
/** What became of a block. */
export type BlockResult = z.output<typeof resultSchema>;

/** What a run is, for workers: enough to make its method's model and to train its clients, and nothing that differs between rounds. */
export const jobSchema = z.strictObject({
  format: z.literal("federa-job"),
  version: z.literal(1),
  kind: kindSchema,
  /** The checked configuration, the place of the method in it, and the replicate. */
  config: z.record(z.string(), z.unknown()),
  method: index,
  draw: z.int().min(0),
  seed: z.int().min(0),
  /** Names of the task's outputs. */
  labels: z.array(z.string()),
  base: z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("checkpoint"),
      pooling: z.string().nullable(),
      files: z.array(z.strictObject({
        name: z.string().regex(/^[\w-][\w.-]*$/).max(200),
        ...objectSchema.shape,
      })).min(1).max(2000),
    }),
    z.strictObject({ kind: z.literal("use-lite"), parameters: objectSchema }),
  ]),
  /** Tokens and targets, and which client has which. */
  data: objectSchema,
  /** SHA-256 of what the pretrained model makes of the first texts: other arithmetic gives another. */
  fingerprint: sha256,
  /** SHA-256 of the parameters that no round changes. */
  frozen: sha256,
});
/** What a run is, for workers. */
export type Job = z.output<typeof jobSchema>;

/** A message as bytes. */
export function encodeMessage(message: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(message));
}

/** A message of a schema; undefined when it isn't one. */
export function decodeMessage<T>(schema: z.ZodType<T>, bytes: Uint8Array): T | undefined {
  try {
    return schema.safeParse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))).data;
  } catch {
    // Neither text nor JSON.
    return undefined;
  }
}
