import assert from "node:assert/strict";
import { test } from "node:test";
import { describeFlowerEvent, type FlowerEvent } from "../../../src/network/mod.ts";

test("describeFlowerEvent() puts each event in words", () => {
  const message = { messageId: "ab", messageType: "train", groupId: "1" };
  const cases: [FlowerEvent, string][] = [
    [{ type: "waiting", for: "the server", seconds: 61.4 }, "Waiting for the server, 62 s at most"],
    [
      { type: "joined", superlink: "http://127.0.0.1:8000", nodeId: 10870559313938082248n },
      "Joined http://127.0.0.1:8000 as node 10870559313938082248; waiting for work",
    ],
    [{ type: "received", ...message, bytes: 12345 }, "Got a message to train, 12,345 bytes"],
    [
      { type: "replied", ...message, bytes: 12345, seconds: 2.04 },
      "Answered the message to train: sent 12,345 bytes after 2.0 s",
    ],
    [
      { type: "replied", ...message, bytes: 0, seconds: 1, error: "Cannot train" },
      "Answered the message to train with an error: Cannot train",
    ],
    [
      { type: "lost", messageId: "ab", reason: "the run is over" },
      "A message or its answer is lost: the run is over",
    ],
    [{ type: "left" }, "Left"],
    [{ type: "left", reason: "it is away" }, "Left without the server's knowing: it is away"],
  ];
  for (const [event, words] of cases) assert.equal(describeFlowerEvent(event), words);
});
