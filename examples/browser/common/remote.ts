/** A call that goes to another thread: what goes in, what is reported on the way, what comes back. */
export interface Call {
  readonly input: unknown;
  readonly event: unknown;
  readonly output: unknown;
}

/** What a handler knows of the call that it answers. */
export interface CallContext<Event> {
  /** Aborted when the caller has cancelled. */
  readonly signal: AbortSignal;
  /** Reports something on the way. */
  report(event: Event): void;
}

/** A handler of each call, by name. */
export type Handlers<Calls> = {
  readonly [Name in keyof Calls]: Calls[Name] extends Call ? (
      input: Calls[Name]["input"],
      context: CallContext<Calls[Name]["event"]>,
    ) => Promise<Calls[Name]["output"]>
    : never;
};

/** Where messages go and come from: a worker, a worker's own end, or a port of a channel. */
export type Port = Pick<MessagePort, "postMessage" | "addEventListener">;

interface Request {
  readonly id: number;
  readonly name: string;
  readonly input: unknown;
}
interface Cancellation {
  readonly id: number;
  readonly cancel: true;
}
type Reply =
  & { readonly id: number }
  & (
    | { readonly event: unknown }
    | { readonly output: unknown }
    | { readonly error: { readonly name: string; readonly message: string } }
  );

/** Answers calls that come to a port. */
export function serveCalls<Calls>(port: Port, handlers: Handlers<Calls>): void {
  const running = new Map<number, AbortController>();
  const answer = (reply: Reply) => port.postMessage(reply);
  const handle = async ({ id, name, input }: Request) => {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const handler =
        (handlers as Readonly<Record<string, (input: unknown, context: CallContext<unknown>) => unknown>>)[
          name
        ]!;
      const context = { signal: controller.signal, report: (event: unknown) => answer({ id, event }) };
      answer({ id, output: await handler(input, context) });
    } catch (error) {
      const { name, message } = error instanceof Error ? error : { name: "Error", message: String(error) };
      answer({ id, error: { name, message } });
    } finally {
      running.delete(id);
    }
  };
  port.addEventListener("message", (event) => {
    const message = (event as MessageEvent<Request | Cancellation>).data;
    if ("cancel" in message) running.get(message.id)?.abort();
    else void handle(message);
  });
}

/** Options of {@linkcode Remote.call}. */
export interface CallOptions<Event> {
  readonly onEvent?: (event: Event) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Calls handlers behind a port. */
export class Remote<Calls> {
  readonly #port: Port;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #failure: Error | undefined;
  #calls = 0;

  constructor(port: Port) {
    this.#port = port;
    port.addEventListener("message", (event) => {
      const reply = (event as MessageEvent<Reply>).data;
      this.#waiting.get(reply.id)?.(reply);
    });
  }

  /** Fails all calls, those to come too: nobody answers any more. */
  fail({ name, message }: Error): void {
    this.#failure = Object.assign(new Error(message), { name });
    for (const [id, answer] of this.#waiting) answer({ id, error: { name, message } });
  }

  /** Calls a handler by name; errors come back with their name and message. */
  call<Name extends keyof Calls & string>(
    name: Name,
    input: Calls[Name] extends Call ? Calls[Name]["input"] : never,
    options: CallOptions<Calls[Name] extends Call ? Calls[Name]["event"] : never> = {},
  ): Promise<Calls[Name] extends Call ? Calls[Name]["output"] : never> {
    const { onEvent, signal } = options;
    const id = ++this.#calls;
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const cancel = () => this.#port.postMessage({ id, cancel: true } satisfies Cancellation);
      const finish = () => {
        this.#waiting.delete(id);
        signal?.removeEventListener("abort", cancel);
      };
      this.#waiting.set(id, (reply) => {
        if ("event" in reply) return onEvent?.(reply.event as never);
        finish();
        if ("output" in reply) return resolve(reply.output as never);
        reject(Object.assign(new Error(reply.error.message), { name: reply.error.name }));
      });
      this.#port.postMessage({ id, name, input } satisfies Request);
      signal?.addEventListener("abort", cancel);
      if (signal?.aborted) cancel();
    });
  }
}
