import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { describeFlowerEvent } from "../../../src/network/flower/event.ts";
import type { FlowerMessage, HandlerContext } from "../../../src/network/flower/message.ts";
import { runFlowerNode } from "../../../src/network/flower/node/run_flower_node.ts";
import { addOne } from "../../support/add_one.ts";

/**
 * A node that adds one to every value, after some work: `plus_one_node.ts URL KEY SECONDS`, where it works for up to so many seconds.
 * It leaves at SIGINT.
 */
const [superlink = "", keyFile = "", seconds = "0"] = process.argv.slice(2);
const leaving = new AbortController();
process.once("SIGINT", () => leaving.abort(new Error("SIGINT")));
await runFlowerNode({
  superlink,
  keyFile,
  signal: leaving.signal,
  onEvent: (event) => console.log(new Date().toISOString().slice(11, 19), describeFlowerEvent(event)),
  handler: async (message: FlowerMessage, context: HandlerContext) => {
    await delay(Math.random() * Number(seconds) * 1000);
    return await addOne(message, context);
  },
});
