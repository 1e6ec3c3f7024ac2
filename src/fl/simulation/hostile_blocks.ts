import { clone, concat, keep, slice, type Tensor, tidy } from "../../engine/mod.ts";
import type { Attack, AttackContext } from "../attacks/mod.ts";
import type { LocalResult } from "../client/train_locally.ts";
import type { Client } from "../method.ts";
import type { Finished } from "../participants.ts";
import type { Tensors } from "../tensors.ts";

/** A block of hostile clients that has trained. */
interface HostileBlock<Block> {
  readonly block: Block;
  readonly local: LocalResult;
}

/** What the hostile clients of a round have trained, until all are done and they act together. */
export class HostileBlocks<Block extends { readonly members: readonly Client[] }> {
  #waiting: HostileBlock<Block>[] = [];

  /** Takes over what a block has trained. */
  add(block: Block, local: LocalResult): void {
    this.#waiting.push({ block, local });
  }

  /** What they send in place of it, block by block; the caller owns it. */
  *attack(
    { upload }: Attack,
    context: Omit<AttackContext, "clients" | "start">,
  ): Generator<HostileBlock<Block>> {
    const clients = this.#waiting.flatMap(({ block }) => block.members);
    const sent = upload === undefined ? undefined : tidy(() => {
      const locals = this.#waiting.map(({ local }) => local);
      const honest = together(locals.map((each) => each.upload));
      return upload(honest, { ...context, clients, start: startsOf(locals) });
    });
    try {
      let from = 0;
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        const { block, local } = next;
        const to = from + block.members.length;
        const own = sent && local.held.hold(rowsOf(sent, from, to));
        from = to;
        yield { block, local: { ...local, ...(own && { upload: own }) } };
      }
    } finally {
      for (const each of sent?.values() ?? []) each.dispose();
    }
  }

  /** Frees what waits. */
  dispose(): void {
    for (const { local } of this.#waiting.splice(0)) local.held[Symbol.dispose]();
  }
}

/** An outcome of hostile clients whose payloads aren't as they should be. */
export function garbled(outcome: Finished, { garble }: Attack): Finished {
  const values = tidy(() =>
    new Map([...garble!(outcome.values)].map(([name, value]) => [name, clone(value)]))
  );
  for (const each of outcome.values.values()) each.dispose();
  return { ...outcome, values };
}

function together(uploads: readonly Tensors[]): Map<string, Tensor> {
  return new Map(
    [...uploads[0]!.keys()].map((name) => [name, concat(uploads.map((each) => each.get(name)!))]),
  );
}

/** Where all start alike that start, else those of all. */
function startsOf(locals: readonly LocalResult[]): Tensors {
  const [first] = locals;
  return new Map([...first!.start].map(([name, x]) => {
    const y = first!.upload.get(name);
    const isEach = y !== undefined && x.ndim === y.ndim;
    return [name, isEach ? concat(locals.map(({ start }) => start.get(name)!)) : x];
  }));
}

function rowsOf(values: Tensors, start: number, end: number): Map<string, Tensor> {
  return new Map(
    [...values].map(([name, each]) => [name, keep(tidy(() => clone(slice(each, { start, end }))))]),
  );
}
