import { type Port, serveCalls } from "../common/remote.ts";
import type { TrainerCalls } from "./calls.ts";
import { Trainer } from "./trainer.ts";

/** Lets a page train behind a port. */
export function serveTrainer(port: Port): void {
  serveCalls<TrainerCalls>(port, new Trainer().handlers);
}
