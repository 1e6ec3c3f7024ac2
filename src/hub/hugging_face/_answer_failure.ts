import { HubError } from "../errors.ts";
import { askedWait, PassingFailure } from "./retry.ts";

/** The context of a request that was refused. */
export interface AnswerContext {
  /** Start of the message. */
  readonly purpose: string;
  /** The host that answered. */
  readonly host: string;
  /** Address of the model's page, where a gate can be passed. */
  readonly page: string;
  /** Whether the hub itself answers, and not a store of files that it redirects to. */
  readonly ofHub: boolean;
  readonly hasToken: boolean;
  /** A server's own words, for a message. */
  readonly quote: (words: string) => string;
}

/**
 * The error for an answer other than success. The hub says in `X-Error-Code` what it means by a status, since it hides
 * private models behind a 401.
 */
export function answerFailure(response: Response, context: AnswerContext): HubError | PassingFailure {
  const { purpose, page, host, ofHub, hasToken, quote } = context;
  const { status, headers } = response;
  const code = headers.get("x-error-code") ?? "";
  const said = headers.get("x-error-message");
  const detail = said ? `${status}: ${quote(said)}` : `${status}`;
  if (status === 429 || status >= 500) return passing(response, context, detail);
  if (!ofHub) {
    // Addresses of stores are signed for a short time; the hub gives out a new one each time.
    return new PassingFailure(new HubError(`${purpose}: the file store ${host} answers ${detail}`, "server"));
  }
  if (code === "GatedRepo") {
    return new HubError(
      `${purpose}: the model is gated (${detail}); ask for access at ${page} and set HF_TOKEN to a token of that account`,
      "unauthorized",
    );
  }
  if (code === "RevisionNotFound") {
    return new HubError(
      `${purpose}: the model has no such revision; see ${page} for those it has`,
      "not-found",
    );
  }
  if (code === "EntryNotFound") {
    return new HubError(`${purpose}: ${host} lists the file but doesn't have it (${detail})`, "not-found");
  }
  if (code === "RepoNotFound" || status === 404) {
    const advice = hasToken
      ? "check the name, and that the token in HF_TOKEN may read it"
      : "check the name; if it is private, set HF_TOKEN to a token that may read it";
    return new HubError(`${purpose}: ${host} has no such model (${detail}); ${advice}`, "not-found");
  }
  if (status === 401 || status === 403) {
    const advice = hasToken
      ? "check that the token in HF_TOKEN is valid and may read the model"
      : "set HF_TOKEN to a token that may read the model";
    return new HubError(`${purpose}: ${host} refuses (${detail}); ${advice}`, "unauthorized");
  }
  return new HubError(`${purpose}: ${host} answers ${detail}; check HF_ENDPOINT`, "server");
}

function passing(response: Response, context: AnswerContext, detail: string): PassingFailure {
  const { purpose, host, hasToken } = context;
  const wait = askedWait(response.headers, Date.now());
  const asks = wait === undefined ? "" : ` and asks to wait ${Math.ceil(wait / 1000)} s`;
  if (response.status !== 429) {
    return new PassingFailure(
      new HubError(`${purpose}: ${host} fails (${detail})${asks}; try again later`, "server"),
      wait,
    );
  }
  const advice = hasToken
    ? "try again after that"
    : "try again after that, or set HF_TOKEN, which allows more requests";
  return new PassingFailure(
    new HubError(`${purpose}: ${host} limits requests (${detail})${asks}; ${advice}`, "rate-limited"),
    wait,
  );
}
