/** A value of Thrift's compact protocol with its type: whole numbers, bytes, lists and structures by field. */
type Thrift =
  | readonly ["i32" | "i64", number]
  | readonly ["binary", Uint8Array | string]
  | readonly ["list", readonly Thrift[]]
  | readonly ["struct", { readonly [field: number]: Thrift }];

const CODES = { i32: 5, i64: 6, binary: 8, list: 9, struct: 12 };

/** A number of seven bits a byte, least significant ones first. */
export function varint(value: number): number[] {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  return [...bytes, value];
}

/** Encodes a value of Thrift's compact protocol. */
function encode([type, value]: Thrift): number[] {
  switch (type) {
    case "binary": {
      const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
      return [...varint(bytes.length), ...bytes];
    }
    case "list":
      return [0xf0 | CODES[value[0]![0]], ...varint(value.length), ...value.flatMap(encode)];
    case "struct":
      return [
        ...Object.entries(value).flatMap((
          [field, inner],
        ) => [CODES[inner[0]], ...varint(2 * Number(field)), ...encode(inner)]),
        0,
      ];
    default:
      return varint(value < 0 ? -2 * value - 1 : 2 * value);
  }
}

/** A page of a column; by default as long as it is, and of as many values as the file has rows. */
export interface WritePage {
  readonly bytes: Uint8Array;
  readonly numValues?: number;
  readonly unpackedSize?: number;
  /** Number of the encoding in parquet.thrift; 0, plain, by default. */
  readonly encoding?: number;
}

/** A column, by the numbers of parquet.thrift. */
export interface WriteColumn {
  readonly page: WritePage;
  readonly numRows: number;
  /** 1 (INT32) by default; 6 is BYTE_ARRAY. */
  readonly type?: number;
  /** 0 (REQUIRED) by default; 1 is OPTIONAL. */
  readonly repetition?: number;
  /** 0 (UNCOMPRESSED) by default; 6 is ZSTD. */
  readonly codec?: number;
}

/** A Parquet file of one column, which may claim what isn't so. */
export function writeColumn({ page, numRows, type = 1, repetition = 0, codec = 0 }: WriteColumn): Uint8Array {
  const { bytes, numValues = numRows, unpackedSize = bytes.length, encoding = 0 } = page;
  const header = encode(["struct", {
    1: ["i32", 0],
    2: ["i32", unpackedSize],
    3: ["i32", bytes.length],
    5: ["struct", { 1: ["i32", numValues], 2: ["i32", encoding], 3: ["i32", 3], 4: ["i32", 3] }],
  }]);
  const size = header.length + bytes.length;
  const column: Thrift = ["struct", {
    1: ["i32", type],
    2: ["list", [["i32", encoding]]],
    3: ["list", [["binary", "a"]]],
    4: ["i32", codec],
    5: ["i64", numRows],
    6: ["i64", header.length + unpackedSize],
    7: ["i64", size],
    9: ["i64", 4],
  }];
  const footer = encode(["struct", {
    1: ["i32", 1],
    2: ["list", [
      ["struct", { 4: ["binary", "schema"], 5: ["i32", 1] }],
      ["struct", { 1: ["i32", type], 3: ["i32", repetition], 4: ["binary", "a"] }],
    ]],
    3: ["i64", numRows],
    4: ["list", [
      ["struct", {
        1: ["list", [["struct", { 2: ["i64", 4], 3: column }]]],
        2: ["i64", size],
        3: ["i64", numRows],
      }],
    ]],
  }]);
  return withFooter(Uint8Array.from([...header, ...bytes]), Uint8Array.from(footer));
}

/** A file of data and a footer. */
export function withFooter(data: Uint8Array, footer: Uint8Array): Uint8Array {
  const length = new Uint8Array(Uint32Array.of(footer.length).buffer);
  return new Uint8Array(Buffer.concat([Buffer.from("PAR1"), data, footer, length, Buffer.from("PAR1")]));
}
