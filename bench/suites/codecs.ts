import {
  disposeAll,
  type Gpu,
  type RandomKey,
  randomKey,
  type Shape,
  sizeOf,
  tensor,
} from "../../src/engine/mod.ts";
import {
  type Codec,
  codecConfig,
  codecs,
  createCodec,
  decodePayload,
  type HostTensors,
  type Tensors,
} from "../../src/fl/mod.ts";
import { randomTensor } from "../inputs.ts";
import type { Row, Suite } from "../contender.ts";
import { measure, median } from "../measure.ts";
import { settle } from "../settle.ts";

const clients = 8;

/** Adapters of rank 8 on Q, K, V and output of BERT-base. */
const shapes: ReadonlyMap<string, Shape> = new Map(
  Array.from(
    { length: 12 },
    (_, layer) =>
      ["query", "key", "value", "output"].flatMap((name): [string, Shape][] => [
        [`encoder.layer.${layer}.attention.${name}.loraA`, [8, 768]],
        [`encoder.layer.${layer}.attention.${name}.loraB`, [768, 8]],
      ]),
  ).flat(),
);
const perClient = [...shapes.values()].reduce(
  (sum, shape) => sum + sizeOf(shape),
  0,
);

/** What arrives of a block's uploads: computed on the GPU, and by way of the bytes. */
export const codecsSuite: Suite = {
  name: "codecs",
  title: `uploads of ${clients} clients, ${perClient} values each, from GPU to GPU`,
  subject: "transmit",
  goal: {
    what: "no lossy codec slower on the GPU than by way of its bytes, results equal",
    check({ rows }) {
      const slowest = Math.min(
        ...rows.slice(1).map(({ ratios }) => ratios["bytes"]!),
      );
      return {
        measured: `${slowest.toFixed(2)}× or more, equal to the bit`,
        holds: slowest >= 1,
      };
    },
  },
  async *rows({ gpu }) {
    const values = new Map([...shapes].map(([name, shape]) => [
      name,
      randomTensor(gpu, [clients, ...shape], 1e-3),
    ]));
    const keys = Array.from(
      { length: clients },
      (_, client) => randomKey(1, "bench", client),
    );
    for (const { name } of codecs) {
      yield await measureCodec(gpu, name, { values, keys });
    }
    disposeAll(values.values());
  },
};

interface Uploads {
  readonly values: Tensors;
  readonly keys: readonly RandomKey[];
}

async function measureCodec(
  gpu: Gpu,
  name: string,
  { values, keys }: Uploads,
): Promise<Row> {
  const codec = createCodec(codecConfig.parse(name));
  const transmit = async () => {
    disposeAll(codec.transmit(values, { keys }).values());
    await settle(gpu);
  };
  const bytes = async () => {
    const received = await sendBytes(codec, { values, keys });
    for (const [name, shape] of shapes) {
      const data = new Float32Array(clients * sizeOf(shape));
      received.forEach((each, client) => data.set(each.get(name)!.data, client * sizeOf(shape)));
      tensor(gpu, data, { shape: [clients, ...shape] }).dispose();
    }
    await settle(gpu);
  };
  await checkEqual(codec, { values, keys });
  const samples = await measure([{ name: "transmit", run: transmit }, {
    name: "bytes",
    run: bytes,
  }]);
  const megabytes = 4 * clients * perClient / 1e6;
  const rate = (milliseconds: readonly number[]) => Math.round(1000 * megabytes / median(milliseconds));
  const smaller = 4 * perClient / codec.payloadBytes(shapes);
  const [onGpu, byBytes] = [
    rate(samples["transmit"]!),
    rate(samples["bytes"]!),
  ];
  return {
    name,
    samples,
    figures: {
      megabytesPerSecond: onGpu,
      megabytesPerSecondByBytes: byBytes,
      smaller,
    },
    note: `${onGpu} MB/s of f32 on the GPU, ${byBytes} by way of bytes; payload ${
      smaller.toFixed(2)
    }× smaller`,
  };
}

/** Reads values back, encodes each client's, and decodes them. */
async function sendBytes(
  codec: Codec,
  { values, keys }: Uploads,
): Promise<HostTensors[]> {
  const host = await Promise.all(
    [...values].map(async ([name, x]) => [name, await x.floats()] as const),
  );
  return keys.map((key, client) => {
    const own = host.map(([name, data]) => {
      const shape = shapes.get(name)!;
      return [name, {
        shape,
        data: data.subarray(
          client * sizeOf(shape),
          (client + 1) * sizeOf(shape),
        ),
      }] as const;
    });
    return decodePayload(codec.encode(new Map(own), { key }));
  });
}

/** @throws {Error} when the two ways differ in a bit. */
async function checkEqual(codec: Codec, uploads: Uploads): Promise<void> {
  const expected = await sendBytes(codec, uploads);
  const received = codec.transmit(uploads.values, uploads);
  for (const [name, x] of received) {
    const data = new Uint32Array((await x.floats()).buffer);
    const size = data.length / clients;
    expected.forEach((each, client) => {
      const { buffer, byteOffset, length } = each.get(name)!.data;
      const bits = new Uint32Array(buffer, byteOffset, length);
      if (bits.some((word, i) => word !== data[client * size + i])) {
        throw new Error(
          `Cannot time codec ${codec.name}: ${name} of client ${client} differs from its payload`,
        );
      }
    });
    x.dispose();
  }
}
