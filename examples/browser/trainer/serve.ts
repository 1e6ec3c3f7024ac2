import { type Port, serveCalls } from "../common/remote.ts";
import type { AloneCalls } from "./alone_calls.ts";
import { aloneHandlers } from "./alone_handlers.ts";
import { inTurn } from "./in_turn.ts";
import type { TogetherCalls } from "./together_calls.ts";
import { togetherHandlers } from "./together_handlers.ts";
import { Workbench } from "./workbench.ts";

/** What pages ask of the trainer. */
export interface AllCalls extends AloneCalls, TogetherCalls {}

/** Lets a page train behind a port, alone or together with others. */
export function serveTrainer(port: Port): void {
  const bench = new Workbench();
  const handlers = { ...aloneHandlers(bench), ...togetherHandlers(bench) };
  serveCalls<AllCalls>(port, inTurn<AllCalls>(handlers));
}
