import {
  type Authenticator,
  AuthorizationError,
  type ConnectionOptions,
  credsAuthenticator,
  type NatsConnection,
  nkeyAuthenticator,
  TimeoutError,
  tokenAuthenticator,
  UserAuthenticationExpiredError,
  usernamePasswordAuthenticator,
  wsconnect,
} from "@nats-io/nats-core";
import { connectByTcp } from "#nats-transport";
import { NatsError } from "./errors.ts";

/** Who one is to a NATS server: at most one of password, token, credentials and nkey. */
export interface NatsCredentials {
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** The content of a credentials file: a JWT and the seed of its key. */
  readonly creds?: string | undefined;
  /** The seed of an nkey, `SU…`. */
  readonly nkey?: string | undefined;
}

/** Certificates in PEM, for tls:// and nats://. In wss:// the runtime's own authorities count. */
export interface NatsTls {
  /** Who has signed the server's certificate; by default the authorities that Node knows. */
  readonly ca?: string | undefined;
  /** This side's certificate and its key, where the server asks for one. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** Options of {@linkcode connectNats}. */
export interface NatsOptions extends NatsCredentials {
  /** What the server's lists of connections show. */
  readonly name?: string | undefined;
  readonly tls?: NatsTls | undefined;
  /** How long to wait for the first connection; 10 by default. */
  readonly timeoutSeconds?: number | undefined;
  /** How long to try again after a connection broke; 300 by default. */
  readonly reconnectSeconds?: number | undefined;
  /** Where answers arrive, for users who may not subscribe to `_INBOX.>`. */
  readonly inboxPrefix?: string | undefined;
  /** Called with a line when the connection breaks, is there again, or the server complains. */
  readonly onStatus?: ((line: string) => void) | undefined;
}

/** Seconds between attempts to connect again. */
const reconnectWait = 1;

/**
 * Connects to a NATS server: by TCP (`nats://`), TLS (`tls://`) or WebSocket (`ws://`, `wss://`; the only ones in browsers). Several
 * servers of one cluster are separated by commas; `nats://user:password@host` and `nats://token@host` carry credentials.
 * A connection that breaks is made again, and subscriptions with it; `closed()` resolves with an error once that is given up.
 *
 * @throws {NatsError} when no server answers in time, or it lets nobody in with these credentials.
 *
 * @example
 * ```ts no-run
 * const connection = await connectNats("nats://127.0.0.1:4222", { user: "worker", password: "secret" });
 * connection.publish("greetings", "hello");
 * await connection.drain();
 * ```
 */
export async function connectNats(url: string, options: NatsOptions = {}): Promise<NatsConnection> {
  const { name = "federa", tls, timeoutSeconds = 10, reconnectSeconds = 300, inboxPrefix, onStatus } =
    options;
  const { servers, scheme, credentials } = parseUrl(url);
  const authenticator = authenticatorOf({ ...credentials, ...options });
  const isWebSocket = scheme === "ws" || scheme === "wss";
  if (tls !== undefined && isWebSocket) {
    throw new NatsError(
      `Cannot connect to ${servers.join(",")} with certificates of one's own: expected tls://`,
    );
  }
  const wanted: ConnectionOptions = {
    name,
    servers,
    timeout: timeoutSeconds * 1000,
    reconnectTimeWait: reconnectWait * 1000,
    maxReconnectAttempts: Math.ceil(reconnectSeconds / reconnectWait),
    // A dead peer is noticed within half a minute.
    pingInterval: 10_000,
    ...(inboxPrefix !== undefined && { inboxPrefix }),
    ...(authenticator !== undefined && { authenticator }),
    ...((scheme === "tls" || tls !== undefined) &&
      { tls: { ...tls } as NonNullable<ConnectionOptions["tls"]> }),
  };
  try {
    if (isWebSocket && globalThis.WebSocket === undefined) {
      throw new NatsError(
        `Cannot connect to ${servers.join(",")}: this runtime has no WebSocket; use nats:// or tls://`,
      );
    }
    const connection = await (isWebSocket ? wsconnect(wanted) : connectByTcp(wanted));
    if (onStatus !== undefined) void tellStatus(connection, onStatus);
    return connection;
  } catch (error) {
    throw refusal(servers, error, timeoutSeconds);
  }
}

type Scheme = "nats" | "tls" | "ws" | "wss";

/** The servers of an address without credentials, and these. */
function parseUrl(url: string): { servers: string[]; scheme: Scheme; credentials: NatsCredentials } {
  const parts = url.split(",").map((part) => {
    const text = part.trim();
    // URL parses the authority of known schemes alone as such.
    const [, scheme = "nats", rest = text] = /^([a-z]+):\/\/(.*)$/i.exec(text) ?? [];
    if (!["nats", "tls", "ws", "wss"].includes(scheme)) {
      throw new NatsError(
        `Cannot connect to ${JSON.stringify(hideSecrets(text))}: expected nats://, tls://, ws:// or wss://`,
      );
    }
    const isPlain = scheme === "nats" || scheme === "tls";
    const address = `${isPlain ? "ws" : scheme}://${rest}`;
    if (!URL.canParse(address)) {
      throw new NatsError(
        `Cannot connect to ${JSON.stringify(hideSecrets(text))}: expected nats://HOST:PORT`,
      );
    }
    const { username, password, hostname, pathname, port: given } = new URL(address);
    // A port that is the default of ws:// must be named all the same.
    const port = given || /:(\d+)\/?$/.exec(rest)?.[1] || (isPlain ? "4222" : scheme === "ws" ? "80" : "443");
    const path = isPlain || pathname === "/" ? "" : pathname;
    const [user, secret] = [username, password].map(decodeURIComponent);
    return {
      scheme: scheme as Scheme,
      server: `${isPlain ? "" : `${scheme}://`}${hostname}:${port}${path}`,
      credentials: user ? secret ? { user, password: secret } : { token: user } : {},
    };
  });
  const [first] = parts;
  if (parts.some(({ scheme }) => scheme !== first!.scheme)) {
    throw new NatsError(
      `Cannot connect to ${parts.map(({ server }) => server).join(",")}: expected one scheme for all servers`,
    );
  }
  return {
    servers: parts.map(({ server }) => server),
    scheme: first!.scheme,
    credentials: Object.assign({}, ...parts.map(({ credentials }) => credentials)),
  };
}

function hideSecrets(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//…@");
}

function authenticatorOf({ user, password, token, creds, nkey }: NatsCredentials): Authenticator | undefined {
  const given = Object.entries({ password, token, creds, nkey }).filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    throw new NatsError(
      `Cannot connect with ${given.map(([name]) => name).join(" and ")}: expected one of them`,
    );
  }
  const encoder = new TextEncoder();
  try {
    if (creds !== undefined) return credsAuthenticator(encoder.encode(creds));
    if (nkey !== undefined) return nkeyAuthenticator(encoder.encode(nkey.trim()));
  } catch (cause) {
    throw new NatsError(
      `Cannot read the ${creds === undefined ? "nkey" : "credentials"}: ${messageOf(cause)}`,
      { cause },
    );
  }
  if (token !== undefined) return tokenAuthenticator(token);
  return user === undefined ? undefined : usernamePasswordAuthenticator(user, password);
}

function refusal(servers: readonly string[], error: unknown, timeoutSeconds: number): NatsError {
  if (error instanceof NatsError) return error;
  const action = `Cannot connect to NATS at ${servers.join(",")}`;
  if (error instanceof AuthorizationError || error instanceof UserAuthenticationExpiredError) {
    return new NatsError(`${action}: it lets nobody in with these credentials (${error.message})`, {
      cause: error,
    });
  }
  const why = error instanceof TimeoutError ? `nobody answered within ${timeoutSeconds} s` : causeOf(error);
  return new NatsError(`${action}: ${why}; check the address, and that nats-server runs there`, {
    cause: error,
  });
}

/** What an error came of, such as a refused connection or a certificate that nobody known has signed. */
function causeOf(error: unknown): string {
  const messages: string[] = [];
  for (let each = error; each instanceof Error; each = each.cause) {
    const inner = each instanceof AggregateError ? each.errors.map(messageOf).join(", ") : "";
    const message = each.message || inner;
    if (message !== "" && !messages.includes(message)) messages.push(message);
  }
  return messages.join(": ") || String(error);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function tellStatus(connection: NatsConnection, tell: (line: string) => void): Promise<void> {
  const server = () => connection.getServer();
  for await (const status of connection.status()) {
    if (status.type === "disconnect") tell(`Lost the connection to NATS at ${status.server}; trying again`);
    else if (status.type === "reconnect") tell(`Connected to NATS at ${status.server} again`);
    else if (status.type === "error") tell(`NATS at ${server()} complains: ${status.error.message}`);
  }
}
