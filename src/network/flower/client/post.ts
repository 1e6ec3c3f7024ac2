import { Buffer } from "node:buffer";
import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { errorCode } from "../../../data/files/error_code.ts";

/** A server's answer. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

/** A request, and how much of an answer to wait for. */
export interface PostOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Milliseconds until the whole answer is here. */
  readonly deadline: number;
  /** Most bytes of the answer's body. */
  readonly maxBytes: number;
  /** Whether it must not be sent twice: then it has a connection of its own, which a server can't have closed just before. */
  readonly once: boolean;
}

/** Milliseconds for which an idle connection is used again; Flower's server closes its own after 5 s. */
const IDLE = 2000;

/** A connection that stood idle, and was closed before an answer. */
class StaleConnection extends Error {}

/** Sends requests to one server, over connections that stay open for a while. */
export class Poster {
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #request: typeof httpRequest;
  readonly #tls: { readonly ca?: string };

  /** @param ca certificates in PEM that a server's must follow from, in place of the system's. */
  constructor(url: URL, ca?: string) {
    const isTls = url.protocol === "https:";
    this.#request = isTls ? httpsRequest as typeof httpRequest : httpRequest;
    this.#tls = isTls && ca !== undefined ? { ca } : {};
    const options = { keepAlive: true, timeout: IDLE, ...this.#tls };
    this.#agent = isTls ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /** Rejects with the system's error where there is no whole answer in time. */
  async post(url: URL, options: PostOptions): Promise<HttpAnswer> {
    const agent = options.once ? false : this.#agent;
    try {
      return await this.#send(url, agent, options);
    } catch (error) {
      // A server may close an idle connection while a request is on its way into it.
      if (!(error instanceof StaleConnection)) throw error;
      return await this.#send(url, false, options);
    }
  }

  #send(
    url: URL,
    agent: HttpAgent | false,
    { headers, body, deadline, maxBytes }: PostOptions,
  ): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const request = this.#request(url, {
        method: "POST",
        agent,
        ...this.#tls,
        headers: { ...headers, "content-length": String(body.length) },
      });
      const timer = setTimeout(() => {
        request.destroy(new Error(`no answer within ${deadline / 1000} s`));
      }, deadline);
      const fail = (error: Error) => {
        clearTimeout(timer);
        request.destroy();
        reject(error);
      };
      request.on("error", (error) => {
        const isStale = request.reusedSocket && errorCode(error) === "ECONNRESET";
        fail(isStale ? new StaleConnection(error.message, { cause: error }) : error);
      });
      request.on("response", (response) => {
        const chunks: Uint8Array[] = [];
        let size = 0;
        response.on("error", fail);
        response.on("data", (chunk: Uint8Array) => {
          size += chunk.length;
          if (size > maxBytes) fail(new RangeError(`an answer of over ${maxBytes} bytes`));
          else chunks.push(chunk);
        });
        response.on("end", () => {
          if (!response.complete) return fail(new Error("the answer ended too early"));
          clearTimeout(timer);
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            body: Buffer.concat(chunks),
          });
        });
      });
      request.end(body);
    });
  }

  /** Closes the idle connections. */
  close(): void {
    this.#agent.destroy();
  }
}
