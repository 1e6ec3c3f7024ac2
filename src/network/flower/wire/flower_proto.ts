import { type Decoded, type Encodable, protoFile } from "./proto_file.ts";

/**
 * Flower's messages between a node and a SuperLink (its Fleet API), and those inside objects; fields that a node has no use for
 * are left out.
 */
const MESSAGES = {
  Node: { nodeId: [1, "uint64"] },
  RegisterNodeRequest: { publicKey: [1, "bytes"] },
  RegisterNodeResponse: { nodeId: [1, "uint64"] },
  ActivateNodeRequest: { publicKey: [1, "bytes"], heartbeatInterval: [2, "double"] },
  ActivateNodeResponse: { nodeId: [1, "uint64"] },
  DeactivateNodeRequest: { nodeId: [1, "uint64"] },
  DeactivateNodeResponse: {},
  UnregisterNodeRequest: { nodeId: [1, "uint64"] },
  UnregisterNodeResponse: {},
  SendNodeHeartbeatRequest: { node: [1, "Node"], heartbeatInterval: [2, "double"] },
  SendNodeHeartbeatResponse: { success: [1, "bool"] },
  PullMessagesRequest: { node: [1, "Node"] },
  PullMessagesResponse: {
    messagesList: [2, "Message", "repeated"],
    messageObjectTrees: [3, "ObjectTree", "repeated"],
  },
  PushMessagesRequest: {
    node: [1, "Node"],
    messagesList: [2, "Message", "repeated"],
    messageObjectTrees: [3, "ObjectTree", "repeated"],
    clientappRuntimeList: [4, "double", "repeated"],
  },
  PushMessagesResponse: { objectsToPush: [3, "string", "repeated"], sessionId: [4, "string"] },
  PushObjectRequest: {
    node: [1, "Node"],
    runId: [2, "uint64"],
    objectId: [3, "string"],
    objectContent: [4, "bytes"],
    sessionId: [5, "string"],
  },
  PushObjectResponse: { stored: [1, "bool"] },
  PullObjectRequest: { node: [1, "Node"], runId: [2, "uint64"], objectId: [3, "string"] },
  PullObjectResponse: {
    objectFound: [1, "bool"],
    objectAvailable: [2, "bool"],
    objectContent: [3, "bytes"],
  },
  ConfirmMessageReceivedRequest: { node: [1, "Node"], runId: [2, "uint64"], messageObjectId: [3, "string"] },
  ConfirmMessageReceivedResponse: {},

  ObjectTree: { objectId: [1, "string"], children: [2, "ObjectTree", "repeated"] },
  Message: { metadata: [1, "Metadata"], content: [2, "RecordDict"], error: [3, "Error"] },
  Metadata: {
    runId: [1, "uint64"],
    messageId: [2, "string"],
    srcNodeId: [3, "uint64"],
    dstNodeId: [4, "uint64"],
    replyToMessageId: [5, "string"],
    groupId: [6, "string"],
    ttl: [7, "double"],
    messageType: [8, "string"],
    createdAt: [9, "double"],
  },
  Error: { code: [1, "sint64"], reason: [2, "string"] },
  // Always sent empty: records travel as objects.
  RecordDict: {},

  MetricRecord: { items: [1, "MetricItem", "repeated"] },
  MetricItem: { key: [1, "string"], value: [2, "MetricValue"] },
  MetricValue: {
    value: {
      oneof: {
        double: [1, "double"],
        sint64: [2, "sint64"],
        uint64: [3, "uint64"],
        doubleList: [21, "DoubleList"],
        sintList: [22, "SintList"],
        uintList: [23, "UintList"],
      },
    },
  },
  ConfigRecord: { items: [1, "ConfigItem", "repeated"] },
  ConfigItem: { key: [1, "string"], value: [2, "ConfigValue"] },
  ConfigValue: {
    value: {
      oneof: {
        double: [1, "double"],
        sint64: [2, "sint64"],
        uint64: [3, "uint64"],
        bool: [4, "bool"],
        string: [5, "string"],
        bytes: [6, "bytes"],
        doubleList: [21, "DoubleList"],
        sintList: [22, "SintList"],
        uintList: [23, "UintList"],
        boolList: [24, "BoolList"],
        stringList: [25, "StringList"],
        bytesList: [26, "BytesList"],
      },
    },
  },
  DoubleList: { vals: [1, "double", "repeated"] },
  SintList: { vals: [1, "sint64", "repeated"] },
  UintList: { vals: [1, "uint64", "repeated"] },
  BoolList: { vals: [1, "bool", "repeated"] },
  StringList: { vals: [1, "string", "repeated"] },
  BytesList: { vals: [1, "bytes", "repeated"] },
} as const;

type Messages = typeof MESSAGES;
/** Name of a message. */
export type ProtoName = keyof Messages;
/** A decoded message. */
export type Proto<N extends ProtoName> = Decoded<Messages, N>;
/** A message to encode. */
export type ProtoInit<N extends ProtoName> = Encodable<Messages, N>;

/** Writes and reads Flower's messages. */
export const flowerProto = protoFile("flwr.proto", MESSAGES);
