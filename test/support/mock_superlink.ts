import { createHash, createPublicKey, verify } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { deflateMessage, type ObjectSet, objectTree } from "../../src/network/flower/objects/deflate.ts";
import { type FlowerObject, parseObject } from "../../src/network/flower/objects/flower_object.ts";
import { inflateRecords } from "../../src/network/flower/objects/inflate.ts";
import {
  flowerProto,
  type Proto,
  type ProtoInit,
  type ProtoName,
} from "../../src/network/flower/wire/flower_proto.ts";
import type { FlowerRecords } from "../../src/network/mod.ts";

/** What goes wrong with a call: an answer in its place, none, or one that is lost after the server has done its work. */
export type Fault =
  | { readonly status: number; readonly body?: string; readonly type?: string }
  | "reset"
  | "lost answer"
  | "silence";

/** What came of a message. */
export type Outcome =
  | { readonly records: FlowerRecords }
  | { readonly error: { readonly code: bigint; readonly reason: string } }
  | { readonly unavailable: true };

/** What a message asks. */
export interface Instruction {
  readonly type?: string;
  readonly records?: FlowerRecords;
  /** Seconds for the reply. */
  readonly ttl?: number;
  /** Changes the objects that the server has; an object of no bytes isn't there yet. */
  readonly meddle?: (objects: Map<string, Uint8Array>) => void;
}

interface Node {
  readonly nodeId: bigint;
  status: "registered" | "online" | "offline" | "unregistered";
  onlineUntil: number;
}
interface Message {
  readonly metadata: Proto<"Metadata">;
  readonly tree: ProtoInit<"ObjectTree">;
  isDelivered: boolean;
  reply?: { readonly id: string; readonly error: Proto<"Error"> | undefined };
  settle(outcome: Outcome): void;
}

const KEY_IN_USE = { status: 412, body: JSON.stringify({ code: 23, detail: "Public key already in use." }) };
const NOT_ACTIVATED = {
  status: 412,
  body: JSON.stringify({ code: 2004, detail: "Failed to activate SuperNode." }),
};
const RUN_OVER = {
  status: 403,
  body: JSON.stringify({ code: 2007, detail: "The run status does not allow this." }),
};
const UNAUTHENTICATED = { status: 401, body: JSON.stringify({ detail: "Invalid SuperNode authentication" }) };
/** Milliseconds between two looks of the server's program for replies. */
const LOOK = 40;

class Refusal extends Error {
  readonly fault: Exclude<Fault, string>;
  constructor(fault: Exclude<Fault, string>) {
    super(fault.body ?? String(fault.status));
    this.fault = fault;
  }
}

/**
 * A SuperLink on the loopback, written from the protocol: it checks signatures, clocks, node numbers, replies and objects as Flower's
 * own server does, keeps everything in memory, and can be made to fail.
 */
export class MockSuperlink {
  /** Names of the calls, in order. */
  readonly calls: string[] = [];
  /** Ids of the objects that nodes have sent. */
  readonly pushed: string[] = [];
  readonly nodes = new Map<string, Node>();
  /** Seconds by which its clock is ahead. */
  clock = 0;
  /** Whether nodes cannot register themselves, as with Flower's `--enable-supernode-auth`. */
  isClosed = false;
  isRunOver = false;
  /** Decides what goes wrong; the number counts the calls of that name from 1. */
  fault: (call: string, count: number) => Fault | undefined = () => undefined;
  readonly runId = 2n ** 63n + 77n;
  #messages = new Map<string, Message>();
  #objects = new Map<string, Uint8Array>();
  #pending = new Map<string, Set<string>>();
  #server: Server | undefined;
  #port = 0;
  readonly #tls: { readonly key: string; readonly cert: string } | undefined;

  /** @param tls makes it speak TLS. */
  constructor(tls?: { readonly key: string; readonly cert: string }) {
    this.#tls = tls;
  }

  get url(): string {
    return `${this.#tls ? "https" : "http"}://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const answer = (request: IncomingMessage, response: ServerResponse) =>
      void this.#answer(request, response);
    this.#server = this.#tls ? createTlsServer(this.#tls, answer) : createServer(answer);
    await new Promise<void>((resolve) => this.#server!.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Ends it, with its connections; what it knows stays unless it forgets. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => server ? server.close(() => resolve()) : resolve());
  }

  /** Forgets everything, as a server that keeps all in memory does when it is started anew. */
  forget(): void {
    this.nodes.clear();
    this.#messages.clear();
    this.#objects.clear();
  }

  /** The nodes that are online. */
  online(): Node[] {
    this.#checkOnline();
    return [...this.nodes.values()].filter(({ status }) => status === "online");
  }

  /** Waits until a node is online, for half a minute at most. */
  async node(): Promise<Node> {
    for (const until = Date.now() + 30_000; Date.now() < until;) {
      const [node] = this.online();
      if (node) return node;
      await delay(5);
    }
    throw new Error(`No node came online within 30 s; the calls were ${this.calls.join(", ")}`);
  }

  /** Sends a message to a node, and waits for what comes of it. */
  async send(
    nodeId: bigint,
    { type = "train", records = new Map(), ttl = 3600, meddle }: Instruction = {},
  ): Promise<Outcome> {
    const metadata = {
      runId: this.runId,
      srcNodeId: 1n,
      dstNodeId: nodeId,
      replyToMessageId: "",
      groupId: "3",
      ttl,
      messageType: type,
      createdAt: Date.now() / 1000 + this.clock,
    };
    const objects = deflateMessage(metadata, records);
    const id = [...objects.keys()].at(-1)!;
    const bytes = new Map([...objects].map(([key, object]) => [key, object.bytes]));
    meddle?.(bytes);
    for (const [key, value] of bytes) this.#objects.set(key, value);
    return await this.announce({ ...metadata, messageId: id }, objects);
  }

  /** Makes an object available that wasn't there. */
  provide(id: string, bytes: Uint8Array): void {
    this.#objects.set(id, bytes);
  }

  /** Has a message fetched again, as no right server would. */
  repeat(messageId: string): void {
    this.#messages.get(messageId)!.isDelivered = false;
  }

  /** Takes a message back, so that its reply is dropped. */
  withdraw(messageId: string): void {
    this.#messages.delete(messageId);
  }

  async announce(metadata: Proto<"Metadata">, objects: ObjectSet): Promise<Outcome> {
    return await new Promise((resolve) => {
      const settle = (outcome: Outcome) => {
        clearInterval(look);
        resolve(outcome);
      };
      const message: Message = {
        metadata,
        tree: objectTree(objects, metadata.messageId),
        isDelivered: false,
        settle,
      };
      this.#messages.set(metadata.messageId, message);
      const look = setInterval(() => {
        const node = [...this.nodes.values()].find(({ nodeId }) => nodeId === metadata.dstNodeId);
        this.#checkOnline();
        if (node?.status !== "online") settle({ unavailable: true });
        else if (message.reply) this.#settle(message);
      }, LOOK);
    });
  }

  #settle({ reply, settle }: Message): void {
    if (reply!.error) return settle({ error: reply!.error });
    const objects = new Map<string, FlowerObject>();
    const collect = (id: string): boolean => {
      const bytes = this.#objects.get(id);
      if (!bytes?.length) return false;
      objects.set(id, parseObject(id, bytes));
      return objects.get(id)!.children.every(collect);
    };
    if (collect(reply!.id)) settle({ records: inflateRecords(reply!.id, objects, { maxBytes: 2 ** 30 }) });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const call = request.url!.replace(/^.*\//, "");
    this.calls.push(call);
    const fault = this.fault(call, this.calls.filter((each) => each === call).length);
    response.setHeader("date", new Date(Date.now() + this.clock * 1000).toUTCString());
    if (fault === "reset") return void request.socket.destroy();
    if (fault === "silence") return;
    try {
      if (typeof fault === "object") throw new Refusal(fault);
      if (!request.url!.startsWith("/v1/fleet/")) throw new Refusal({ status: 404 });
      const body = this.#serve(call, Buffer.concat(chunks), request);
      if (fault === "lost answer") return void request.socket.destroy();
      response.writeHead(200, { "content-type": "application/protobuf" }).end(body);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, body = "{}", type = "application/json" } = error.fault;
      response.writeHead(status, { "content-type": type }).end(body);
    }
  }

  #serve(call: string, body: Uint8Array, { headers }: IncomingMessage): Uint8Array {
    const key = this.#verify(headers);
    const of = <N extends ProtoName>(name: N): Proto<N> => {
      const request = flowerProto.decode(name, body) as Proto<N> & {
        node?: { nodeId: bigint };
        nodeId?: bigint;
      };
      const node = this.nodes.get(key);
      const claimed = request.node?.nodeId ?? request.nodeId;
      if (node === undefined || node.status === "unregistered" || node.nodeId !== claimed) {
        throw new Refusal(UNAUTHENTICATED);
      }
      return request;
    };
    const withKey = <N extends "RegisterNodeRequest" | "ActivateNodeRequest">(name: N): Proto<N> => {
      const request = flowerProto.decode(name, body);
      if (Buffer.from(request.publicKey).toString() !== key) throw new Refusal(UNAUTHENTICATED);
      return request;
    };
    const { encode } = flowerProto;
    switch (call) {
      case "register-node": {
        withKey("RegisterNodeRequest");
        if (this.isClosed) {
          throw new Refusal({ status: 412, body: JSON.stringify({ code: 2001, detail: "closed" }) });
        }
        if (this.nodes.has(key)) throw new Refusal(KEY_IN_USE);
        const nodeId = BigInt(`0x${createHash("sha256").update(key).digest("hex").slice(0, 16)}`) | 1n << 63n;
        this.nodes.set(key, { nodeId, status: "registered", onlineUntil: 0 });
        return encode("RegisterNodeResponse", { nodeId });
      }
      case "activate-node": {
        const { heartbeatInterval } = withKey("ActivateNodeRequest");
        this.#checkOnline();
        const node = this.nodes.get(key);
        if (node?.status !== "registered" && node?.status !== "offline") throw new Refusal(NOT_ACTIVATED);
        node.status = "online";
        node.onlineUntil = Date.now() + 2000 * heartbeatInterval;
        return encode("ActivateNodeResponse", { nodeId: node.nodeId });
      }
      case "deactivate-node": {
        of("DeactivateNodeRequest");
        this.#checkOnline();
        const node = this.nodes.get(key)!;
        if (node.status !== "online") {
          throw new Refusal({ status: 412, body: JSON.stringify({ code: 2005, detail: "not online" }) });
        }
        node.status = "offline";
        return new Uint8Array();
      }
      case "unregister-node":
        of("UnregisterNodeRequest");
        this.nodes.get(key)!.status = "unregistered";
        return new Uint8Array();
      case "send-node-heartbeat": {
        const { heartbeatInterval } = of("SendNodeHeartbeatRequest");
        const node = this.nodes.get(key)!;
        node.status = "online";
        node.onlineUntil = Date.now() + 2000 * heartbeatInterval;
        return encode("SendNodeHeartbeatResponse", { success: true });
      }
      case "pull-messages": {
        const { node } = of("PullMessagesRequest");
        const next = [...this.#messages.values()].find((each) =>
          each.metadata.dstNodeId === node!.nodeId && !each.isDelivered
        );
        if (next === undefined) return new Uint8Array();
        next.isDelivered = true;
        return encode("PullMessagesResponse", {
          messagesList: [{ metadata: next.metadata, content: {} }],
          messageObjectTrees: [next.tree],
        });
      }
      case "pull-object": {
        const { objectId } = this.#whileRunning(of("PullObjectRequest"));
        const objectContent = this.#objects.get(objectId);
        if (objectContent === undefined) return new Uint8Array();
        return encode("PullObjectResponse", {
          objectFound: true,
          objectAvailable: objectContent.length > 0,
          objectContent,
        });
      }
      case "confirm-message-received":
        this.#objects.delete(this.#whileRunning(of("ConfirmMessageReceivedRequest")).messageObjectId);
        return new Uint8Array();
      case "push-messages":
        return this.#takeReply(of("PushMessagesRequest"));
      case "push-object": {
        const { objectId, objectContent, sessionId } = this.#whileRunning(of("PushObjectRequest"));
        const isPending = this.#pending.get(sessionId)?.delete(objectId) ?? false;
        if (isPending) {
          parseObject(objectId, objectContent);
          this.#objects.set(objectId, objectContent);
          this.pushed.push(objectId);
        }
        return encode("PushObjectResponse", { stored: isPending });
      }
      default:
        throw new Refusal({ status: 404 });
    }
  }

  /** The key of a request whose signature is right and whose clock is. */
  #verify(headers: IncomingMessage["headers"]): string {
    const key = Buffer.from(String(headers["flwr-public-key"]), "base64").toString();
    const timestamp = String(headers["flwr-timestamp"]);
    const age = Date.now() / 1000 + this.clock - Date.parse(timestamp) / 1000;
    if (!timestamp.endsWith("+00:00") || !(age > -5 && age < 305)) throw new Refusal(UNAUTHENTICATED);
    const signature = Buffer.from(String(headers["flwr-signature"]), "base64");
    if (!verify("sha256", Buffer.from(timestamp), createPublicKey(key), signature)) {
      throw new Refusal(UNAUTHENTICATED);
    }
    return key;
  }

  #whileRunning<R extends { readonly runId: bigint }>(request: R): R {
    if (this.isRunOver || request.runId !== this.runId) throw new Refusal(RUN_OVER);
    return request;
  }

  #takeReply(
    { node, messagesList: [message], messageObjectTrees: [tree] }: Proto<"PushMessagesRequest">,
  ): Uint8Array {
    const { metadata, content, error } = message!;
    this.#whileRunning(metadata!);
    const instruction = this.#messages.get(metadata!.replyToMessageId);
    const now = Date.now() / 1000 + this.clock;
    const isTaken = instruction !== undefined && (content === undefined) !== (error === undefined) &&
      metadata!.messageId === tree!.objectId && metadata!.srcNodeId === node!.nodeId &&
      metadata!.dstNodeId === 1n &&
      metadata!.srcNodeId === instruction.metadata.dstNodeId && metadata!.createdAt >= 1740700800 &&
      metadata!.ttl > 0 &&
      metadata!.createdAt + metadata!.ttl > now && metadata!.messageType !== "" &&
      metadata!.createdAt + metadata!.ttl - instruction.metadata.createdAt - instruction.metadata.ttl <=
        0.1 &&
      (instruction.reply === undefined || instruction.reply.id === metadata!.messageId);
    if (!isTaken) return flowerProto.encode("PushMessagesResponse", { sessionId: "none" });
    instruction.reply ??= { id: metadata!.messageId, error };
    const missing = new Set<string>();
    const visit = ({ objectId, children }: Proto<"ObjectTree">): void => {
      children.forEach(visit);
      if (!this.#objects.get(objectId)?.length) missing.add(objectId);
    };
    visit(tree!);
    const sessionId = String(this.calls.length);
    this.#pending.set(sessionId, missing);
    return flowerProto.encode("PushMessagesResponse", { objectsToPush: [...missing], sessionId });
  }

  #checkOnline(): void {
    for (const node of this.nodes.values()) {
      if (node.status === "online" && node.onlineUntil < Date.now()) node.status = "offline";
    }
  }
}
