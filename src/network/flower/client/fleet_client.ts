import { Buffer } from "node:buffer";
import { z } from "zod";
import { describeCause } from "../../../data/files/describe_cause.ts";
import { sleep } from "../../../hub/hugging_face/retry.ts";
import { errorCode } from "../../../data/files/error_code.ts";
import { SuperlinkError, type SuperlinkErrorOptions, type SuperlinkFailure } from "../errors.ts";
import type { FlowerEvent } from "../event.ts";
import { flowerProto, type Proto, type ProtoInit } from "../wire/flower_proto.ts";
import { explain401 } from "./explain_401.ts";
import type { NodeKey } from "./node_key.ts";
import { type HttpAnswer, Poster } from "./post.ts";
import { type FlowerTiming, SILENCE } from "./timing.ts";

/** Calls of the Fleet API: the messages that go and come, and the most bytes that come. */
const CALLS = {
  "register-node": ["RegisterNodeRequest", "RegisterNodeResponse", "small"],
  "activate-node": ["ActivateNodeRequest", "ActivateNodeResponse", "small"],
  "deactivate-node": ["DeactivateNodeRequest", "DeactivateNodeResponse", "small"],
  "unregister-node": ["UnregisterNodeRequest", "UnregisterNodeResponse", "small"],
  "send-node-heartbeat": ["SendNodeHeartbeatRequest", "SendNodeHeartbeatResponse", "small"],
  "pull-messages": ["PullMessagesRequest", "PullMessagesResponse", "large"],
  "push-messages": ["PushMessagesRequest", "PushMessagesResponse", "large"],
  "push-object": ["PushObjectRequest", "PushObjectResponse", "array"],
  "pull-object": ["PullObjectRequest", "PullObjectResponse", "array"],
  "confirm-message-received": ["ConfirmMessageReceivedRequest", "ConfirmMessageReceivedResponse", "small"],
} as const;

/** Name of a call. */
export type FleetCall = keyof typeof CALLS;
/** What a call sends. */
export type FleetRequest<C extends FleetCall> = ProtoInit<(typeof CALLS)[C][0]>;
/** What a call gives. */
export type FleetResponse<C extends FleetCall> = Proto<(typeof CALLS)[C][1]>;

const MAX_BYTES = { small: 1 << 20, large: 1 << 26 };
/** System errors of requests that never left. */
const UNSENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "EADDRNOTAVAIL",
]);
/** Errors about certificates, and of what doesn't speak TLS: waiting does not help. */
const TLS = /CERT|ERR_TLS|ERR_SSL|UNABLE_TO_|^EPROTO$/;
const PROTOBUF = "application/protobuf";

/** What a {@linkcode FleetClient} needs. */
export interface FleetClientOptions {
  readonly key: NodeKey;
  readonly timing: FlowerTiming;
  /** Most bytes of an object. */
  readonly maxBytes: number;
  /** Certificates in PEM that the server's must follow from, in place of the system's. */
  readonly ca?: string | undefined;
  readonly onEvent: (event: FlowerEvent) => void;
}

/** How a call is made. */
export interface CallOptions {
  /** Ends the wait for a server that is away. */
  readonly signal?: AbortSignal | undefined;
  /** Seconds to wait for a server that is away; 0 to try once. Unless given, the client's patience. */
  readonly patience?: number;
  /** Seconds for the answer. Unless given, the client's. */
  readonly answer?: number;
}

/** Calls a SuperLink, signs every call, and waits for a server that is away. */
export class FleetClient {
  readonly superlink: string;
  readonly key: NodeKey;
  readonly #url: URL;
  readonly #poster: Poster;
  readonly #options: FleetClientOptions;

  constructor(superlink: URL, options: FleetClientOptions) {
    this.superlink = superlink.href.replace(/\/+$/, "");
    this.#url = new URL(`${this.superlink}/v1/fleet/`);
    this.key = options.key;
    this.#options = options;
    this.#poster = new Poster(superlink, options.ca);
  }

  /**
   * Makes a call, again and again while the server is away.
   *
   * @throws {SuperlinkError} the server refuses, or was away for too long.
   * @throws the reason of the signal, when it is given.
   */
  async call<C extends FleetCall>(
    name: C,
    request: FleetRequest<C>,
    options: CallOptions = {},
  ): Promise<FleetResponse<C>> {
    const { timing: { patience: ownPatience, retry }, onEvent } = this.#options;
    const { signal, patience = ownPatience } = options;
    const since = performance.now();
    let said = -Infinity;
    for (let attempt = 0;; attempt++) {
      try {
        return await this.#once(name, request, options);
      } catch (error) {
        if (!(error instanceof SuperlinkError) || error.failure !== "unreachable" || patience === 0) {
          throw error;
        }
        const seconds = (performance.now() - since) / 1000;
        const pause = Math.random() * Math.min(retry, 2 ** attempt);
        if (seconds + pause > patience) {
          throw new SuperlinkError(`${error.message}; waited ${seconds.toFixed(0)} s for it`, {
            failure: "unreachable",
            mayHaveArrived: error.mayHaveArrived,
            cause: error,
          });
        }
        // A single failure is nothing to speak of.
        if (attempt > 0 && seconds - said >= SILENCE) {
          said = seconds;
          onEvent({ type: "waiting", for: `the SuperLink: ${error.message}`, seconds: patience - seconds });
        }
        await sleep(pause * 1000, signal);
      }
    }
  }

  /** Closes the idle connections. */
  close(): void {
    this.#poster.close();
  }

  async #once<C extends FleetCall>(
    name: C,
    request: FleetRequest<C>,
    { answer: ownAnswer }: CallOptions,
  ): Promise<FleetResponse<C>> {
    const [requestName, responseName, size] = CALLS[name];
    const { timing, maxBytes } = this.#options;
    const deadline = (ownAnswer ?? timing.answer) * (size === "array" ? 5 : 1) * 1000;
    const timestamp = new Date().toISOString().replace("Z", "+00:00");
    const sent = Date.now();
    let answer: HttpAnswer;
    try {
      answer = await this.#poster.post(new URL(name, this.#url), {
        headers: {
          "content-type": PROTOBUF,
          accept: PROTOBUF,
          "flwr-public-key": base64(this.key.publicKey),
          "flwr-timestamp": timestamp,
          "flwr-signature": base64(this.key.sign(timestamp)),
        },
        body: flowerProto.encode(requestName, request as ProtoInit<typeof requestName>),
        deadline,
        once: name === "pull-messages",
        maxBytes: size === "array" ? maxBytes + MAX_BYTES.small : MAX_BYTES[size],
      });
    } catch (cause) {
      const code = errorCode(cause) ?? "";
      const isTls = TLS.test(code);
      const failure = cause instanceof RangeError || isTls || code.startsWith("HPE_")
        ? "refused"
        : "unreachable";
      const mayHaveArrived = !UNSENT.has(code);
      const hint = isTls
        ? "; name the file of the certificates that the server's follows from, or check that it speaks TLS"
        : "";
      throw this.#error(name, failure, `${describeCause(cause).trim()}${hint}`, { cause, mayHaveArrived });
    }
    if (answer.status !== 200) throw this.#refusal(name, answer, sent);
    const type = String(answer.headers["content-type"] ?? "none");
    if (!type.startsWith(PROTOBUF)) {
      throw this.#error(
        name,
        "refused",
        `expected an answer of type ${PROTOBUF}, got ${type}; is there a SuperLink?`,
      );
    }
    try {
      return flowerProto.decode(responseName, answer.body) as FleetResponse<C>;
    } catch (cause) {
      throw this.#error(name, "refused", "its answer isn't the message that was expected", { cause });
    }
  }

  #refusal(name: FleetCall, answer: HttpAnswer, sent: number): SuperlinkError {
    const { status } = answer;
    const { code, text } = readRefusal(answer.body);
    const said = `${status}${code === undefined ? "" : ` (code ${code})`}: ${text}`;
    if (status === 401) {
      const { date } = answer.headers;
      const reason = explain401(sent, Date.now(), typeof date === "string" ? date : undefined);
      return this.#error(name, "unauthenticated", `it answered ${said}; ${reason}`);
    }
    const hint = status === 404 ? "; expected a SuperLink of Flower 1.40 or newer there" : "";
    const mayHaveArrived = status === 502 || status === 504;
    return this.#error(name, failureOf(status), `it answered ${said}${hint}`, { code, mayHaveArrived });
  }

  #error(
    name: FleetCall,
    failure: SuperlinkFailure,
    reason: string,
    options: Omit<SuperlinkErrorOptions, "failure"> = {},
  ): SuperlinkError {
    return new SuperlinkError(`Cannot ${name.replaceAll("-", " ")} at ${this.superlink}: ${reason}`, {
      failure,
      ...options,
    });
  }
}

function failureOf(status: number): SuperlinkFailure {
  if (status === 502 || status === 503 || status === 504) return "unreachable";
  if (status === 403) return "run-over";
  if (status === 412) return "precondition";
  return status >= 500 ? "failed" : "refused";
}

const refusal = z.object({
  code: z.int().optional(),
  message: z.string().optional(),
  detail: z.string().optional(),
});

/** What a server says about a refusal; its two spellings are those of older and newer releases. */
function readRefusal(body: Uint8Array): { readonly code: number | undefined; readonly text: string } {
  const text = new TextDecoder().decode(body.subarray(0, 2000));
  let parsed;
  try {
    parsed = refusal.safeParse(JSON.parse(text));
  } catch {
    return { code: undefined, text: JSON.stringify(text.slice(0, 200)) };
  }
  const { code, message, detail } = parsed.data ?? {};
  return { code, text: JSON.stringify((message ?? detail ?? text).slice(0, 200)) };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
