import {
  create,
  createFileRegistry,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type FieldDescriptorProto,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  type FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

/** Protobuf's scalar types that are used, as TypeScript has them: whole numbers of 64 bits are `bigint`. */
interface Scalars {
  double: number;
  uint32: number;
  uint64: bigint;
  sint64: bigint;
  bool: boolean;
  string: string;
  bytes: Uint8Array;
}
const TYPES: Readonly<Record<string, FieldDescriptorProto["type"]>> = {
  double: Type.DOUBLE,
  uint32: Type.UINT32,
  uint64: Type.UINT64,
  sint64: Type.SINT64,
  bool: Type.BOOL,
  string: Type.STRING,
  bytes: Type.BYTES,
} satisfies Record<keyof Scalars, FieldDescriptorProto["type"]>;

/** A field: its number, its type (a scalar or a message of the same file) and whether there may be many or none. */
type Field = readonly [number: number, type: string, rule?: "repeated" | "optional"];
/** Fields of which one is set, and is written even where it is zero. */
interface Oneof {
  readonly oneof: Readonly<Record<string, Field>>;
}
/** Fields of messages, by the message's name and the field's; the names are free, as the wire has numbers alone. */
type Messages = Readonly<Record<string, Readonly<Record<string, Field | Oneof>>>>;

type Single<M extends Messages, T> = T extends keyof Scalars ? Scalars[T]
  : T extends keyof M ? Decoded<M, T>
  : never;
type Value<M extends Messages, F> = F extends readonly [number, infer T, "repeated"] ? readonly Single<M, T>[]
  : F extends readonly [number, infer T, "optional"] ? Single<M, T> | undefined
  : F extends readonly [number, infer T] ? T extends keyof Scalars ? Scalars[T] : Single<M, T> | undefined
  : F extends { readonly oneof: infer C } ?
      | {
        [K in keyof C]: C[K] extends readonly [number, infer T] ? { case: K; value: Single<M, T> } : never;
      }[keyof C]
      | {
        case: undefined;
        value?: undefined;
      }
  : never;

/** A decoded message: a field that wasn't sent has its zero, and is undefined where it is a message or optional. */
export type Decoded<M extends Messages, N extends keyof M> = { [K in keyof M[N]]: Value<M, M[N][K]> };

type Draft<T> = T extends Uint8Array ? T
  : T extends readonly (infer E)[] ? readonly Draft<E>[]
  : T extends { case: unknown } ? T
  : T extends object ? { readonly [K in keyof T]?: Draft<Exclude<T[K], undefined>> | undefined }
  : T;

/** A message to encode: what is left out has its zero and isn't written. */
export type Encodable<M extends Messages, N extends keyof M> = Draft<Decoded<M, N>>;

/** Writes and reads the messages of a file. */
export interface ProtoFile<M extends Messages> {
  /** Bytes of a message. */
  encode<N extends keyof M & string>(name: N, message: Encodable<M, N>): Uint8Array;
  /**
   * Reads a message; unknown fields are skipped.
   *
   * @throws {Error} the bytes aren't protobuf, or messages are nested over a hundred deep.
   */
  decode<N extends keyof M & string>(name: N, bytes: Uint8Array): Decoded<M, N>;
}

/**
 * A protobuf file (syntax proto3) from a table of its messages, which says what a .proto would; the library does the coding.
 *
 * @example
 * ```ts
 * const { encode, decode } = protoFile("example", { Point: { x: [1, "double"], id: [2, "uint64"] } });
 * encode("Point", { id: 300n }); // 16, 172, 2
 * decode("Point", new Uint8Array([16, 172, 2])).id; // 300n
 * ```
 */
export function protoFile<const M extends Messages>(name: string, messages: M): ProtoFile<M> {
  const file = create(FileDescriptorProtoSchema, {
    name: `${name}.proto`,
    package: name,
    syntax: "proto3",
    messageType: Object.entries(messages).map(([message, fields]) => describeMessage(name, message, fields)),
  });
  const registry = createFileRegistry(file, () => undefined);
  const find = (message: string): DescMessage => registry.getMessage(`${name}.${message}`)!;
  return {
    encode: (message, value) =>
      toBinary(find(message), create(find(message), value as MessageInitShape<DescMessage>)),
    decode: <N extends keyof M & string>(message: N, bytes: Uint8Array) =>
      fromBinary(find(message), bytes, { readUnknownFields: false }) as unknown as Decoded<M, N>,
  };
}

function describeMessage(file: string, name: string, fields: Messages[string]) {
  const groups = Object.entries(fields).flatMap(([key, field]) =>
    "oneof" in field ? [{ key, ...field }] : []
  );
  const plain = Object.entries(fields).flatMap(([key, field]) =>
    "oneof" in field ? [] : [[key, field] as const]
  );
  const optional = plain.filter(([, [, , rule]]) => rule === "optional").map(([key]) => key);
  return {
    name,
    // An optional scalar is a group of its own, behind the real ones.
    oneofDecl: [...groups.map(({ key }) => ({ name: key })), ...optional.map((key) => ({ name: `_${key}` }))],
    field: [
      ...groups.flatMap(({ oneof }, oneofIndex) =>
        Object.entries(oneof).map(([key, field]) => ({ ...describeField(file, key, field), oneofIndex }))
      ),
      ...plain.map(([key, field]) => ({
        ...describeField(file, key, field),
        ...(optional.includes(key) &&
          { proto3Optional: true, oneofIndex: groups.length + optional.indexOf(key) }),
      })),
    ],
  };
}

function describeField(
  file: string,
  name: string,
  [number, type, rule]: Field,
): MessageInitShape<typeof FieldDescriptorProtoSchema> {
  const scalar = TYPES[type];
  return {
    name,
    number,
    label: rule === "repeated" ? Label.REPEATED : Label.OPTIONAL,
    ...(scalar === undefined ? { type: Type.MESSAGE, typeName: `.${file}.${type}` } : { type: scalar }),
  };
}
