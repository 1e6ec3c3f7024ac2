import { encodeAdapter, evaluate, type Task, type TextExample } from "federa";
import {
  connectNats,
  type Invitation,
  invitedTask,
  joinFederation,
  type ParticipantEvent,
  readInvitation,
} from "federa/network";
import type { CallContext, Handlers } from "../common/remote.ts";
import { prepareSets } from "./data.ts";
import { describeInvitation } from "./describe_invitation.ts";
import { pageStore } from "./page_store.ts";
import { sharedHandlers } from "./shared_handlers.ts";
import type { Address, Part, PartEvent, ReachEvent, TogetherCalls } from "./together_calls.ts";
import type { Workbench } from "./workbench.ts";

/** An invitation, and where it was read. */
interface Invited {
  readonly address: Address;
  readonly invitation: Invitation;
}

/** Answers the page that trains together with others. */
export function togetherHandlers(bench: Workbench): Handlers<TogetherCalls> {
  let invited: Invited | undefined;
  return {
    ...sharedHandlers(bench),
    async readInvitation(address, context) {
      invited =
        bench.prescribed =
        bench.rows =
        bench.data =
          undefined;
      await using link = await connect(address);
      const invitation = await readInvitation({ ...address, ...link, ...linkOptions(context) });
      const info = describeInvitation(invitation);
      bench.prescribed = { task: invitedTask(invitation) as Task<TextExample>, seed: invitation.seed };
      invited = { address, invitation };
      return info;
    },
    async takePart(_, context) {
      if (invited === undefined) throw new TypeError("Cannot take part: no invitation has been read");
      const { address } = invited;
      // A page that takes part twice under one name would confuse the host.
      const name = `federa/${address.federation}/${address.name}`;
      return await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
        if (lock !== null) return await takePart(bench, invited!, context);
        throw new Error(
          `Cannot take part as ${address.name}: another tab of this browser does so already; choose another name there or here`,
        );
      });
    },
  };
}

async function connect({ server, user, password }: Address) {
  if (!/^wss?:\/\//.test(server)) {
    throw new RangeError(
      `Cannot connect to ${
        JSON.stringify(server)
      }: a page reaches NATS by WebSocket, expected ws:// or wss://`,
    );
  }
  const connection = await connectNats(server, { user, password, name: "federa in a browser" }).catch(
    (error) => {
      // A browser doesn't say whether it was the page's policy.
      const advice = `and that whoever serves this page lets it talk to ${server} (--allow)`;
      throw error instanceof Error ? new Error(`${error.message}, ${advice}`, { cause: error }) : error;
    },
  );
  return { connection, [Symbol.asyncDispose]: () => connection.close() };
}

function linkOptions({ signal, report }: CallContext<ReachEvent>) {
  return {
    signal,
    patienceSeconds: 60,
    onReach: (isReached: boolean) => report({ type: "reach", isReached }),
  };
}

async function takePart(
  bench: Workbench,
  { address, invitation }: Invited,
  context: CallContext<PartEvent>,
): Promise<Part> {
  const { signal, report } = context;
  const { maxLength } = invitation;
  try {
    const { pretrained, tokenizer, data } = await bench.prepare();
    bench.forget();
    const { train, test } = prepareSets(data, tokenizer, { maxLength });
    await using link = await connect(address);
    const events = joinFederation(pretrained, {
      ...linkOptions(context),
      ...link,
      patienceSeconds: 600,
      invitation,
      name: address.name,
      train,
      test: test.size === 0 ? undefined : test,
      store: await pageStore(`${address.federation}.${address.name}`),
    });
    for await (const event of events) {
      if (event.type !== "ended") {
        const told = eventOf(event);
        if (told !== undefined) report(told);
        continue;
      }
      const { model, isFinished, reason } = event;
      const ended = isFinished ? "finished" : "over";
      if (model === undefined) return { ended, reason };
      const score = test.size === 0 ? undefined : scoreOf(await evaluate(model, test));
      try {
        const adapter = await encodeAdapter(model, { pretrained });
        return { ended, reason, score, run: bench.keep({ data, adapter, maxLength }) };
      } catch (error) {
        const { message } = bench.settle(error);
        return { ended, reason, score, problem: message };
      }
    }
    return { ended: "over", reason: "the host said no more" };
  } catch (error) {
    if (signal.aborted && error === signal.reason) {
      return { ended: "left", reason: "you have left; the federation goes on without you" };
    }
    throw bench.settle(error);
  }
}

function eventOf(event: Exclude<ParticipantEvent, { readonly type: "ended" }>): PartEvent | undefined {
  switch (event.type) {
    case "scores":
      return { type: "score", round: event.round, score: scoreOf(event.evaluation) };
    case "round-lost":
      return { type: "lost", round: event.round, reason: event.reason };
    case "round":
      return { type: "round", round: event.round, bytesDown: event.bytesDown };
    case "sent":
      return { type: "sent", round: event.round, bytesUp: event.bytesUp, loss: event.loss };
    default:
      return event;
  }
}

function scoreOf({ loss, scores }: Awaited<ReturnType<typeof evaluate>>) {
  return { loss, accuracy: scores["accuracy"]!, macroF1: scores["macroF1"]! };
}
