import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { decompressors } from "../../../src/data/parquet/_decompress.ts";
import { checkRuns } from "../../../src/data/parquet/_runs.ts";
import { readThrift } from "../../../src/data/parquet/_thrift.ts";
import { ZstdThread } from "../../../src/data/parquet/_zstd.ts";
import { cpuClock } from "../../support/cpu_clock.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

describe("checkRuns()", () => {
  it("checkRuns() counts values in the examples of the Parquet format", () => {
    // 0 to 7 in three bits each, packed.
    const packed = bytes(0x03, 0x88, 0xc6, 0xfa);
    for (let counted = 0; counted < 8; counted++) {
      assert.equal(checkRuns(packed, { width: 3, count: 8, counted, below: 8 }), 1);
    }
    assert.equal(checkRuns(packed, { width: 3, count: 5, counted: 5 }), 0, "only five count");
    // Eight times 4, then eight packed ones.
    const mixed = bytes(0x10, 0x04, ...packed);
    assert.equal(checkRuns(mixed, { width: 3, count: 16, counted: 4 }), 9);
    // 2 in 17 bits, three times.
    assert.equal(checkRuns(bytes(0x06, 0x02, 0x00, 0x00), { width: 17, count: 3, counted: 2 }), 3);
    assert.equal(checkRuns(bytes(), { width: 1, count: 0 }), 0);
  });

  it("checkRuns() refuses runs that lie", () => {
    const refuses = (values: Uint8Array, options: Parameters<typeof checkRuns>[1], message: RegExp) => {
      assert.throws(() => checkRuns(values, options), message);
    };
    refuses(bytes(0xfe, 0xff, 0xff, 0xff, 0x07, 0x00), { width: 1, count: 8 }, /more than 8 values/);
    refuses(bytes(0xff, 0xff, 0xff, 0xff, 0x07, 0x00), { width: 0, count: 8 }, /more than 8 values/);
    refuses(bytes(0xff, 0xff, 0xff, 0xff, 0xff, 0x01), { width: 1, count: 8 }, /run is too long/);
    refuses(bytes(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00), { width: 1, count: 8 }, /run is too long/);
    refuses(bytes(0x03, 0x88, 0xc6), { width: 3, count: 8 }, /end early/);
    refuses(bytes(0x10), { width: 3, count: 8 }, /end early/);
    refuses(bytes(0x02, 0x00), { width: 1, count: 8 }, /1 values of 8/);
    refuses(bytes(0x10, 0x04), { width: 3, count: 8, below: 4 }, /less than 4, got 4/);
    refuses(bytes(0x03, 0x88, 0xc6, 0xfa), { width: 3, count: 8, below: 7 }, /less than 7, got 7/);
    refuses(bytes(0x02), { width: 33, count: 1 }, /33/);
  });
});

describe("readThrift()", () => {
  const limits = { maxValues: 100, maxBinary: 4, longField: 5 };

  it("readThrift() reads each kind of value", () => {
    // Field 1: i32 -1; 2: true; 3: i64 300; 4: "ab"; 5: list of two i32; 6: structure with field 1 = false.
    const { value, end } = readThrift(
      bytes(
        0x15,
        0x01,
        0x11,
        0x16,
        0xd8,
        0x04,
        0x18,
        0x02,
        0x61,
        0x62,
        0x19,
        0x25,
        0x02,
        0x04,
        0x1c,
        0x12,
        0x00,
        0x00,
      ),
      0,
      limits,
    );
    assert.deepEqual(value, { 1: -1, 2: true, 3: 300n, 4: bytes(0x61, 0x62), 5: [1, 2], 6: { 1: false } });
    assert.equal(end, 18);
  });

  it("readThrift() refuses what a trusting reader would spend hours or gigabytes on", () => {
    const refuses = (values: Uint8Array, message: RegExp) => {
      const seconds = cpuClock();
      assert.throws(() => readThrift(values, 0, limits), message);
      assert.ok(seconds() < 1);
    };
    // A number of a million digits, which is quadratic in them.
    refuses(new Uint8Array(1_000_001).fill(0x80).fill(0x16, 0, 1), /too many digits/);
    refuses(bytes(0x16, ...new Array(10).fill(0xff), 0x01), /more than 64 bits/);
    refuses(bytes(0x15, 0xff, 0xff, 0xff, 0xff, 0x1f), /more than 32 bits/);
    refuses(bytes(0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x07), /list of 2147483647 items/);
    refuses(new Uint8Array(100_000).fill(0x1c), /nested deeper/);
    refuses(new Uint8Array(100_000).fill(0x19), /nested deeper/);
    refuses(bytes(0x19, 0xf3, 0x80, 0x02, ...new Array(300).fill(0)), /more than 100 values/);
    refuses(bytes(0x18, 0x05, 1, 2, 3, 4, 5, 0), /more than 4 bytes/);
    refuses(bytes(0x58, 0x05, 1, 2), /end inside of a text/);
    refuses(bytes(0x15, 0x02, 0x05, 0x02, 0x02), /repeat field 1/);
    refuses(bytes(0x1b, 0x00), /unknown type 11/);
    refuses(bytes(0x15), /end early/);
    assert.deepEqual(readThrift(bytes(0x58, 0x05, 1, 2, 3, 4, 5, 0), 0, limits).value, {
      5: bytes(1, 2, 3, 4, 5),
    });
  });
});

describe("decompressors()", () => {
  const text = Buffer.from("hello zstd world, ".repeat(6000)).subarray(0, 100_000);
  /** Made by pyarrow, the second as a stream, whose frame doesn't tell its length. */
  const [whole, streamed] = [
    "KLUv/aCghgEA1QAAkGhlbGxvIHpzdGQgd29ybGQsIAEAFg0rn2E=",
    "KLUv/QBI1QAAkGhlbGxvIHpzdGQgd29ybGQsIAEAFg0rn2E=",
  ].map((base64) => new Uint8Array(Buffer.from(base64, "base64")));

  it("decompressors() unpack to the announced length, and to no other", async () => {
    const zstd = new ZstdThread();
    const { GZIP, BROTLI, ZSTD, SNAPPY, UNCOMPRESSED, LZ4_RAW } = decompressors(zstd);
    // Literals "abc", then nine bytes from three bytes back.
    const packed: [NonNullable<typeof GZIP>, Uint8Array, Uint8Array][] = [
      [GZIP!, gzipSync(text), text],
      [BROTLI!, brotliCompressSync(text), text],
      [ZSTD!, whole!, text],
      [ZSTD!, streamed!, text],
      [SNAPPY!, bytes(12, 0x08, 0x61, 0x62, 0x63, 0x15, 0x03), Buffer.from("abcabcabcabc")],
      [LZ4_RAW!, bytes(0x35, 0x61, 0x62, 0x63, 0x03, 0x00, 0x10, 0x64), Buffer.from("abcabcabcabcd")],
      [UNCOMPRESSED!, bytes(1, 2), bytes(1, 2)],
    ];
    for (const [unpack, input, output] of packed) {
      assert.deepEqual(Buffer.from(unpack(input, output.length)), Buffer.from(output));
      for (const length of [1, 2 ** 31 - 1]) {
        assert.throws(() => unpack(input, length), Error);
      }
      if (unpack !== UNCOMPRESSED) assert.throws(() => unpack(input.subarray(0, 3), output.length), Error);
    }
    await zstd.close();
  });

  it("ZstdThread refuses frames that need too much", async () => {
    const zstd = new ZstdThread();
    const refuses = (input: Uint8Array, message: RegExp) =>
      assert.throws(() => zstd.decompress(input, 100_000), message);
    refuses(bytes(1, 2, 3, 4), /no frame/);
    refuses(Uint8Array.of(...streamed!.subarray(0, 5), 0xf8, ...streamed!.subarray(6)), /too large a window/);
    refuses(Uint8Array.of(...whole!, ...whole!), /one whole frame/);
    refuses(whole!.subarray(0, -1), /ends early|one whole frame/);
    assert.throws(() => zstd.decompress(whole!, 99_999), /holds 100000 bytes, expected 99999/);
    await zstd.close();
  });

  it("ZstdThread ends what goes on for too long", async () => {
    // One block of 98,047 sequences, each of which copies 65 kB at least, and takes no bits at all.
    const block = bytes(0x00, 0xff, 0xff, 0xff, 0x54, 0x00, 0x00, 0x34, 0x01);
    const frame = bytes(0x28, 0xb5, 0x2f, 0xfd, 0x60, 0x00, 0x03, block.length << 3 | 5, 0, 0);
    const zstd = new ZstdThread(300);
    assert.throws(() => zstd.decompress(Uint8Array.of(...frame, ...block), 1024), { name: "DataLimitError" });
    await zstd.close();
  });
});
