import { Remote } from "../common/remote.ts";
import type { AllCalls } from "./serve.ts";

/** A trainer, and where it runs. */
export interface Connection {
  readonly trainer: Remote<AllCalls>;
  readonly place: "worker" | "page";
}

/** Starts a trainer in a worker; where workers have no WebGPU, in the page itself, between whose events it trains. */
export async function connectTrainer(): Promise<Connection> {
  const worker = new Worker(new URL("worker.js", document.baseURI), { type: "module" });
  const hasGpu = await new Promise<boolean>((resolve) => {
    worker.addEventListener("message", ({ data }) => resolve(data.hasGpu === true), { once: true });
    worker.addEventListener("error", () => resolve(false), { once: true });
  });
  if (hasGpu) {
    const trainer = new Remote<AllCalls>(worker);
    worker.addEventListener("error", ({ message }) => {
      trainer.fail(
        new Error(`Cannot go on: the worker that trains has failed (${message}); load the page again`),
      );
    });
    return { trainer, place: "worker" };
  }
  worker.terminate();
  const { serveTrainer } = await import("./serve.ts");
  const { port1, port2 } = new MessageChannel();
  serveTrainer(port2);
  port1.start();
  port2.start();
  return { trainer: new Remote(port1), place: "page" };
}
