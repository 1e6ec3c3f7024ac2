import { HubError } from "../errors.ts";
import { excerpt } from "../../data/text/excerpt.ts";
import { redact } from "../redact.ts";
import { exchange, type ExchangeRequest } from "./_exchange.ts";

/** A request that may be redirected. */
export interface FollowRequest extends Omit<ExchangeRequest, "url" | "headers"> {
  readonly url: URL;
  /** Headers for an address, so that secrets stay with their host. */
  readonly headersFor: (url: URL) => Readonly<Record<string, string>>;
}

/** One answer on the way. */
export interface Answer {
  readonly url: URL;
  readonly response: Response;
  readonly body: AsyncIterable<Uint8Array>;
  /** Where it redirects to, if it does. */
  readonly next: URL | undefined;
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const MOST_REDIRECTS = 10;

/**
 * Sends a request and follows redirects, with the headers that belong to each address, until `use` gives a value for
 * an answer; for the last one it must.
 *
 * @throws {HubError} `server` for endless redirects or one that leads to no web address.
 * @throws as {@linkcode exchange}
 */
export async function follow<T>(
  request: FollowRequest,
  use: (answer: Answer) => Promise<{ value: T } | undefined>,
): Promise<T> {
  let url = request.url;
  for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
    const outcome = await exchange(
      { ...request, url, headers: request.headersFor(url) },
      async (response, body) => {
        const next = REDIRECTS.has(response.status) ? nextUrl(request.purpose, url, response) : undefined;
        return { next, found: await use({ url, response, body, next }) };
      },
    );
    if (outcome.found !== undefined) return outcome.found.value;
    if (outcome.next === undefined) throw new Error(`${request.purpose}: the answer was not used`);
    url = outcome.next;
  }
  throw new HubError(
    `${request.purpose}: more than ${MOST_REDIRECTS} redirects, the last to ${url.host}`,
    "server",
  );
}

function nextUrl(purpose: string, url: URL, response: Response): URL {
  const location = response.headers.get("location") ?? "";
  const next = location !== "" && URL.canParse(location, url.href) ? new URL(location, url.href) : undefined;
  if (next && /^https?:$/.test(next.protocol) && next.username === "" && next.password === "") return next;
  // Such an address may carry a password or a signature.
  const got = excerpt(redact(location));
  throw new HubError(`${purpose}: ${url.host} redirects to ${got}, which is not a web address`, "server");
}
