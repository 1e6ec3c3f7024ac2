import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type RandomKey, randomKey, tensor } from "../../../src/engine/mod.ts";
import { type Codec, codecConfig, codecs, createCodec } from "../../../src/fl/transport/mod.ts";
import { decodePayload } from "../../../src/fl/transport/payload.ts";
import { type HostTensor, type HostTensors, shapesOf } from "../../../src/fl/tensors.ts";
import { bitsOf, holds, testFamilies } from "../../engine/harness.ts";
import { anyFloats, f32Arrays, shapes } from "../../support/arbitraries.ts";

const families = await testFamilies();

/** Every codec, the ones with options under several. */
const all: readonly (readonly [string, Codec])[] = codecs.flatMap(({ name }) =>
  (name === "topk" ? [{ name, share: 1e-6 }, { name, share: 0.1 }, { name, share: 1 }] : [{ name }]).map((
    config,
  ) => [JSON.stringify(config), createCodec(codecConfig.parse(config))] as const)
);

/** The values of a member by name. */
type Members = readonly HostTensors[];

const keysOf = (count: number, seed = 1): RandomKey[] =>
  Array.from({ length: count }, (_, member) => randomKey(seed, "upload", member));

/** What arrives of each member's values, by the path on the GPU. */
async function transmit(
  codec: Codec,
  members: Members,
  { keys = keysOf(members.length), shapes: own, family = "cpu" }: {
    keys?: readonly RandomKey[];
    shapes?: readonly ReadonlyMap<string, readonly number[]>[];
    family?: string;
  } = {},
): Promise<HostTensors[]> {
  const gpu = families[family]!;
  const before = gpu.stats().liveBytes;
  const values = new Map([...members[0]!].map(([name, { shape }]) => {
    const data = members.flatMap((member) => [...member.get(name)!.data]);
    return [name, tensor(gpu, data, { shape: [members.length, ...shape] })];
  }));
  const received = codec.transmit(values, { keys, ...(own && { shapes: own }) });
  assert.deepEqual(new Set(received.keys()), new Set(values.keys()));
  for (const each of values.values()) each.dispose();
  const host = await Promise.all([...received].map(async ([name, x]) => {
    const data = await x.floats();
    assert.deepEqual(x.shape, [members.length, ...members[0]!.get(name)!.shape]);
    x.dispose();
    return [name, data] as const;
  }));
  assert.equal(gpu.stats().liveBytes, before, "bytes alive after the transmission");
  return members.map((member, c) =>
    new Map(host.map(([name, data]): [string, HostTensor] => {
      const { shape, data: { length } } = member.get(name)!;
      return [name, { shape, data: data.slice(c * length, (c + 1) * length) }];
    }))
  );
}

/** Shapes and bits, to compare them exactly. */
const exactly = (values: HostTensors) =>
  Object.fromEntries([...values].map(([name, { shape, data }]) => [name, [shape, [...bitsOf(data)]]]));

const name = fc.constantFrom("encoder.layer.0.loraA", "encoder.layer.0.loraB", "10", "9", "head.ü", "");

/** Members whose tensors have the same names and shapes, scalars among them, and each a kind of values of its own. */
const membersOf = (options: { maxMembers: number }): fc.Arbitrary<Members> =>
  fc.tuple(
    fc.uniqueArray(fc.tuple(name, shapes({ maxRank: 3, maxSize: 500 })), {
      maxLength: 3,
      minLength: 1,
      selector: ([name]) => name,
    }),
    fc.integer({ min: 1, max: options.maxMembers }),
  ).chain(([named, count]) =>
    fc.array(
      fc.tuple(...named.map(([name, shape]) => {
        const size = shape.reduce((product, extent) => product * extent, 1);
        return fc.oneof(f32Arrays(shape).map(({ data }) => Float32Array.from(data)), anyFloats(size))
          .map((data): [string, HostTensor] => [name, { shape, data }]);
      })).map((entries) => new Map(entries)),
      { minLength: count, maxLength: count },
    )
  );

for (const [title, codec] of all) {
  describe(`codec ${title}`, () => {
    it("transmit() gives what decoding each member's payload gives, bit for bit, in payloadBytes() bytes", async () => {
      await holds(membersOf({ maxMembers: 4 }), async (members) => {
        const keys = keysOf(members.length, 7);
        const received = await transmit(codec, members, { keys });
        members.forEach((values, c) => {
          const payload = codec.encode(values, { key: keys[c]! });
          assert.deepEqual(exactly(received[c]!), exactly(decodePayload(payload)));
          assert.equal(codec.payloadBytes(shapesOf(values)), payload.byteLength);
          assert.deepEqual(codec.encode(new Map([...values].reverse()), { key: keys[c]! }), payload);
        });
        const other = await transmit(codec, members, { keys, family: "gpu" });
        assert.deepEqual(other.map(exactly), received.map(exactly));
      }, 25);
    });

    it("transmit() gives the same bits for rows longer than a workgroup, and more values than one workgroup counts", async () => {
      const members = [1, 2].map((seed) =>
        new Map(([["a", [3, 1031]], ["b", [8209]]] as const).map(([name, shape]): [string, HostTensor] => {
          const size = shape.reduce<number>((product, extent) => product * extent, 1);
          // Rounded, so that many magnitudes are equal.
          const data = Float32Array.from(
            { length: size },
            (_, i) => Math.round(50 * Math.sin(i * seed)) / 64,
          );
          return [name, { shape, data }];
        }))
      );
      const keys = keysOf(2);
      for (const family of ["cpu", "gpu"]) {
        const received = await transmit(codec, members, { keys, family });
        members.forEach((values, c) => {
          const decoded = decodePayload(codec.encode(values, { key: keys[c]! }));
          assert.deepEqual(exactly(received[c]!), exactly(decoded));
        });
      }
    });

    it("transmit() of a member is the same alone, and with zeros appended to its axes", async () => {
      const member = (seed: number, [rows, columns]: [number, number], from = [rows, columns]) =>
        new Map<string, HostTensor>([["loraB", {
          shape: [rows, columns],
          data: Float32Array.from({ length: rows * columns }, (_, i) => {
            const [row, column] = [Math.floor(i / columns), i % columns];
            return row < from[0]! && column < from[1]! ? Math.sin(seed + 13 * row + 0.7 * column) : 0;
          }),
        }]]);
      const sizes: [number, number][] = [[13, 3], [16, 8], [5, 8], [1, 1]];
      const keys = keysOf(sizes.length);
      const padded = sizes.map((size, c) => member(c, [16, 8], size));
      const own = sizes.map((size, c) => member(c, size));
      const together = await transmit(codec, padded, { keys, shapes: own.map(shapesOf) });
      for (const [c, [rows, columns]] of sizes.entries()) {
        const [alone] = await transmit(codec, [own[c]!], { keys: [keys[c]!] });
        const { data } = together[c]!.get("loraB")!;
        const cut = data.filter((_, i) => Math.floor(i / 8) < rows && i % 8 < columns);
        assert.deepEqual(bitsOf(cut), bitsOf(alone!.get("loraB")!.data));
        assert.equal(data.filter((value) => value !== 0).length, cut.filter((value) => value !== 0).length);
      }
    });

    it("transmit() leaves a member with NaN or infinity not finite, and encode() refuses it", async () => {
      for (const bad of [NaN, Infinity, -Infinity]) {
        const values = new Map([["a", { shape: [3], data: Float32Array.of(1, bad, 2) }]]);
        const [received] = await transmit(codec, [values]);
        assert.ok(!Number.isFinite(received!.get("a")!.data[1]));
        assert.throws(() => codec.encode(values, { key: [1, 2] }), {
          name: "NonFiniteError",
          message: `Cannot encode "a": it holds ${bad} at element 1, expected finite numbers`,
        });
      }
    });

    it("carries no values, and empty ones", async () => {
      for (const values of [new Map(), new Map([["a", { shape: [0, 3], data: new Float32Array(0) }]])]) {
        const payload = codec.encode(values, { key: [1, 2] });
        assert.equal(payload.byteLength, codec.payloadBytes(shapesOf(values)));
        assert.deepEqual(decodePayload(payload), values);
        assert.deepEqual(await transmit(codec, [values]), [values]);
      }
    });

    it("encode() refuses a shape that disagrees with its data", () => {
      const values = new Map([["a", { shape: [2], data: new Float32Array(3) }]]);
      assert.throws(() => codec.encode(values, { key: [1, 2] }), {
        name: "TypeError",
        message: /\[2\].*3 elements/,
      });
    });
  });
}

describe("codecConfig", () => {
  it("takes a name alone or with its options, and fills in defaults", () => {
    assert.deepEqual(codecConfig.parse("int8"), { name: "int8" });
    assert.deepEqual(codecConfig.parse("topk"), { name: "topk", share: 0.01 });
    assert.deepEqual(codecConfig.parse({ name: "topk", share: 0.25 }), { name: "topk", share: 0.25 });
  });

  it("refuses unknown names and options", () => {
    for (
      const value of ["int9", {}, 8, { name: "int8", share: 0.5 }, { name: "topk", share: 0 }, {
        name: "topk",
        share: 1.1,
      }]
    ) {
      assert.equal(codecConfig.safeParse(value).success, false, JSON.stringify(value));
    }
  });
});

describe("codecs", () => {
  it("are in README's table, with what they do and the bytes of an example", async () => {
    const readme = (await readFile(new URL("../../../README.md", import.meta.url), "utf8")).replaceAll(
      / +/g,
      " ",
    );
    const layers = Array.from({ length: 12 }, (_, layer) => `encoder.layer.${layer}.attention`);
    const shapes = new Map(
      layers.flatMap((layer) =>
        ["query", "key", "value", "output"].flatMap((name): [string, number[]][] => [
          [`${layer}.${name}.loraA`, [8, 768]],
          [`${layer}.${name}.loraB`, [768, 8]],
        ])
      ),
    );
    for (const { name, summary } of codecs) {
      const megabytes = createCodec(codecConfig.parse(name)).payloadBytes(shapes) / 1e6;
      assert.ok(readme.includes(`| \`${name}\` | ${summary} | ${megabytes.toFixed(2)} |`), name);
    }
  });

  it("says which codecs lose nothing, and which need error feedback", () => {
    const named = (choose: (codec: Codec) => boolean) =>
      codecs.map(({ name }) => createCodec(codecConfig.parse(name))).filter(choose).map(({ name }) => name);
    assert.deepEqual(named(({ lossless }) => lossless), ["f32"]);
    assert.deepEqual(named(({ feedback }) => feedback), ["topk"]);
  });
});
