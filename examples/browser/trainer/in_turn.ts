import type { Handlers } from "../common/remote.ts";

/** The same handlers, each begun when the one before it has ended: what is on the device can't be shared. */
export function inTurn<Calls>(handlers: Handlers<Calls>): Handlers<Calls> {
  let last: Promise<unknown> = Promise.resolve();
  type Handler = (...args: unknown[]) => Promise<unknown>;
  const entries = Object.entries(handlers as Record<string, Handler>).map(([name, handle]) => {
    const queued: Handler = (...args) => {
      const result = last.then(() => handle(...args));
      last = result.catch(() => {});
      return result;
    };
    return [name, queued];
  });
  return Object.fromEntries(entries) as Handlers<Calls>;
}
