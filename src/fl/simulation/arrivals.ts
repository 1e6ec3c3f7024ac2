import { uploadShapes } from "../client/upload_shapes.ts";
import type { Finished, RoundWork } from "../participants.ts";
import { untrained } from "./block_participants.ts";

/** What a rehearsal has of clients that train elsewhere: what they send, block by block. */
export async function* rehearseArrivals(
  { clients, model, plan }: RoundWork,
  { blockSize }: { readonly blockSize: number },
): AsyncGenerator<Finished> {
  const [client] = clients;
  if (client === undefined) return;
  const shapes = new Map(
    [...await uploadShapes(model, plan, { client })].map(([name, shape]) => [name, [1, ...shape]]),
  );
  for (let from = 0; from < clients.length; from += blockSize) {
    yield untrained(model.gpu, clients.slice(from, from + blockSize), shapes);
  }
}
