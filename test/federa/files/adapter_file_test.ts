import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  add,
  assign,
  clone,
  Linear,
  type Module,
  mul,
  NonFiniteError,
  type Tensor,
  tensor,
} from "../../../src/engine/mod.ts";
import {
  AdapterMismatchError,
  adaptersOf,
  attachAdapters,
  decodeAdapter,
  encodeAdapter,
  federa,
  lora,
} from "../../../src/federa/mod.ts";
import { CorruptFileError } from "../../../src/data/errors.ts";
import { encodeSafetensors, readSafetensors } from "../../../src/models/weights/safetensors.ts";
import { bitsOf, holds, testGpu } from "../../engine/harness.ts";
import { bitsOfModel, checkAdapterFile } from "../../support/adapter_file.ts";
import { magnitudes } from "../../support/arbitraries.ts";
import { linearStack } from "../../support/linear_stack.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();
const exact = federa({ svd: "exact" });

/** Moves factors and head away from their start, as training does, in place or by tensors of their own. */
function train<M extends Module>(model: M, seed: number): M {
  const random = new Random(seed);
  return model.mapParameters((name, parameter) => {
    if (!/lora[AB]$|^head\./.test(name)) return parameter;
    const noise = tensor(gpu, Float32Array.from({ length: parameter.size }, () => random.normal()), {
      shape: parameter.shape,
    });
    return add(parameter, noise);
  });
}

async function adapted(initialization = exact, widths: readonly number[] = [7, 5, 6, 3]) {
  const pretrained = linearStack(gpu, widths, 1);
  const model = await attachAdapters(pretrained, {
    targets: ["layers.*"],
    rank: 2,
    alpha: 3,
    initialization,
  });
  return { pretrained, model: train(model, 2) };
}

describe("encodeAdapter(), decodeAdapter()", () => {
  test("encodeAdapter() and decodeAdapter() give back every bit, whatever the shapes, rank and alpha", async () => {
    const cases = fc.record({
      widths: fc.array(fc.integer({ min: 1, max: 19 }), { minLength: 3, maxLength: 4 }),
      alpha: magnitudes(0.01, 100),
      initialization: fc.constantFrom(lora, exact, federa()),
      seed: fc.nat(),
    });
    await holds(cases, async ({ widths, alpha, initialization, seed }) => {
      const rank = 1 + seed % Math.min(...widths.slice(0, -1));
      const pretrained = linearStack(gpu, widths, seed);
      const model = train(
        await attachAdapters(pretrained, { targets: ["layers.*"], rank, alpha, initialization }),
        seed,
      );
      const { loaded } = await checkAdapterFile(model, pretrained);
      for (const [name, { scaling }] of adaptersOf(model)) {
        assert.equal(adaptersOf(loaded).get(name)!.scaling, scaling);
      }
    }, 25);
  });

  test("encodeAdapter() stores factors, the head and what identifies the weights, and no frozen weight", async () => {
    const { pretrained, model } = await adapted();
    const { tensors, metadata } = readSafetensors(await encodeAdapter(model, { pretrained }));
    const parts = ["initialA", "initialB", "loraA", "loraB"];
    const layers = ["layers.0", "layers.1"];
    const expected = [
      ...layers.flatMap((name) => parts.map((part) => `${name}.${part}`)),
      "head.bias",
      "head.weight",
    ];
    assert.deepEqual([...tensors.keys()].sort(), expected.sort());
    assert.equal(metadata["format"], "federa-adapter");
    assert.equal(metadata["layers.0.scaling"], "1.5");
    const bytes = new Uint8Array((await (pretrained.layers[0] as Linear).weight.floats()).buffer);
    assert.equal(metadata["layers.0.fingerprint"], createHash("sha256").update(bytes).digest("hex"));
  });

  test("decodeAdapter() shares every other tensor with the pretrained model", async () => {
    const { pretrained, model } = await adapted(lora);
    const loaded = await decodeAdapter(pretrained, await encodeAdapter(model, { pretrained }));
    for (const [i, layer] of loaded.layers.entries()) {
      const [{ weight, bias }, original] = [layer as Linear, pretrained.layers[i] as Linear];
      assert.ok(weight === original.weight);
      assert.ok(bias === original.bias);
    }
  });

  test("encodeAdapter() stores a residual that no longer follows from the pretrained weight", async () => {
    const { pretrained, model } = await adapted();
    const { weight } = adaptersOf(model).get("layers.1")!;
    const values = await weight.floats();
    values[3] = new Float32Array(new Uint32Array([bitsOf(values)[3]! ^ 1]).buffer)[0]!;
    assign(weight, tensor(gpu, values, { shape: weight.shape }));
    const bytes = await encodeAdapter(model, { pretrained });
    const { tensors } = readSafetensors(bytes);
    assert.ok(tensors.has("layers.1.weight"));
    assert.ok(!tensors.has("layers.0.weight"));
    assert.deepEqual(await bitsOfModel(await decodeAdapter(pretrained, bytes)), await bitsOfModel(model));
  });

  test("encodeAdapter() refuses models it cannot describe", async () => {
    const { pretrained, model } = await adapted();
    await assert.rejects(encodeAdapter(pretrained, { pretrained }), {
      name: "TypeError",
      message: /no layer .* is adapted/,
    });
    await assert.rejects(encodeAdapter(model, { pretrained: linearStack(gpu, [7, 5, 3], 1) }), {
      name: "AdapterMismatchError",
      message: /layers\.1/,
    });
    await assert.rejects(encodeAdapter(model, { pretrained: linearStack(gpu, [8, 5, 6, 3], 1) }), {
      name: "AdapterMismatchError",
      message: /\[5, 7\].*\[5, 8\]/,
    });
    const diverged = model.mapParameters((name, each) =>
      name === "head.bias" ? mul(clone(each), Infinity) : each
    );
    await assert.rejects(encodeAdapter(diverged, { pretrained }), NonFiniteError);
  });

  test("encodeAdapter() refuses what a file would leave out or loading would not make again", async () => {
    const { pretrained, model } = await adapted();
    const replaced = (name: string, make: (layer: Linear) => Linear) =>
      model.mapModules((each, module) => each === name ? make(module as Linear) : module);
    const [, head] = [model.layers, model.head];
    /** A layer of a class that no kind of adapter has. */
    class Doubled extends Linear {
      override forward(x: Tensor): Tensor {
        return mul(super.forward(x), 2);
      }
    }
    await assert.rejects(
      encodeAdapter(replaced("head", ({ weight, bias }) => new Doubled(weight, bias)), { pretrained }),
      {
        name: "TypeError",
        message: /Cannot save head: it's a Doubled, which took the place of a Linear.*low-rank/,
      },
    );
    class Shifted extends Linear {
      readonly shift = tensor(gpu, [1, 2, 3]);
    }
    await assert.rejects(
      encodeAdapter(replaced("head", ({ weight, bias }) => new Shifted(weight, bias)), { pretrained }),
      { name: "TypeError", message: /Shifted/ },
    );
    const wider = model.mapParameters((name, each) =>
      name === "head.bias" ? tensor(gpu, [1, 2, 3, 4, 5, 6], { shape: [2, 3] }) : each
    );
    await assert.rejects(encodeAdapter(wider, { pretrained }), {
      name: "TypeError",
      message: /Cannot save head\.bias \[2, 3\]: the pretrained model has it as \[3\]/,
    });
    const before = Object.assign(head.mapModules((_, each) => each), { epsilon: 1 });
    const after = Object.assign(head.mapModules((_, each) => each), { epsilon: 2 });
    await assert.rejects(
      encodeAdapter(replaced("head", () => after), {
        pretrained: pretrained.mapModules((name, each) => name === "head" ? before : each),
      }),
      { name: "TypeError", message: /Cannot save head: its epsilon is 2, and the pretrained model's is 1/ },
    );
    const clients = model.mapParameters((name, each) =>
      name === "layers.0.loraA" ? tensor(gpu, new Float32Array(28), { shape: [2, 2, 7] }) : each
    );
    await assert.rejects(encodeAdapter(clients, { pretrained }), {
      name: "TypeError",
      message: /factors of layers\.0 must be \[r, in\] and \[out, r\], got \[2, 2, 7\]/,
    });
  });

  test("decodeAdapter() lists all that disagrees with the model", async () => {
    const { pretrained, model } = await adapted();
    const bytes = await encodeAdapter(model, { pretrained });
    const other = linearStack(gpu, [7, 5, 6, 3], 3);
    await assert.rejects(decodeAdapter(other, bytes), (error: Error) => {
      assert.ok(error instanceof AdapterMismatchError);
      assert.match(error.message, /layers\.0 has other values.*layers\.1 has other values/);
      return true;
    });
    const narrow = linearStack(gpu, [4, 5, 4], 1);
    await assert.rejects(decodeAdapter(narrow, bytes), (error: Error) => {
      assert.ok(error instanceof AdapterMismatchError);
      assert.match(error.message, /weight of layers\.0 must be \[5, 7\], got \[5, 4\]/);
      assert.match(error.message, /no linear layer layers\.1/);
      assert.match(error.message, /head\.weight must be \[3, 6\], got \[4, 5\]/);
      return true;
    });
    await assert.rejects(decodeAdapter(model, bytes), {
      name: "AdapterMismatchError",
      message: /no linear layer layers\.0/,
    });
  });

  test("decodeAdapter() refuses a file that contradicts itself", async () => {
    const { pretrained, model } = await adapted();
    const { tensors, metadata } = readSafetensors(await encodeAdapter(model, { pretrained }));
    const f32 = (shape: number[], value = 0) =>
      ({ dtype: "F32", shape, data: new Float32Array(shape.reduce((a, b) => a * b)).fill(value) }) as const;
    const without = (name: string) => new Map([...tensors].filter(([key]) => key !== name));
    const cases: [string, typeof tensors, Record<string, string>, RegExp][] = [
      ["another format", tensors, { ...metadata, format: "pt" }, /format must be federa-adapter, got "pt"/],
      ["another version", tensors, { ...metadata, version: "3" }, /version must be 1 or 2, got "3"/],
      [
        "a kind of a later version",
        tensors,
        { ...metadata, "layers.0.kind": "x" },
        /kind of layers\.0 must be .*low-rank.*"x"/,
      ],
      ["a setting that no layer has", tensors, { ...metadata, "layers.0.rank": "2" }, /layers\.0.*rank/],
      ["no layer", tensors, { format: "federa-adapter", version: "1" }, /adapts no layer/],
      ["no B", without("layers.0.loraB"), metadata, /one of the two factors of layers\.0/],
      ["no A₀", without("layers.1.initialA"), metadata, /one of the two factors of layers\.1/],
      ["an unknown layer", tensors, { ...metadata, "x.scaling": "1" }, /lacks x\.loraA/],
      ["a scaling of zero", tensors, { ...metadata, "layers.0.scaling": "0" }, /scaling of layers\.0.*"0"/],
      [
        "a scaling that is no number",
        tensors,
        { ...metadata, "layers.0.scaling": "" },
        /scaling of layers\.0.*""/,
      ],
      [
        "ranks that differ",
        new Map([...tensors, ["layers.0.loraA", f32([3, 7])]]),
        metadata,
        /\[3, 7\] and \[5, 2\]/,
      ],
      [
        "rank 0",
        new Map([...tensors, ["layers.0.loraA", f32([0, 7])], ["layers.0.loraB", f32([5, 0])]]),
        metadata,
        /\[0, 7\]/,
      ],
      [
        "initial factors of another shape",
        new Map([...tensors, ["layers.0.initialA", f32([2, 8])]]),
        metadata,
        /initial factors of layers\.0/,
      ],
      [
        "a NaN",
        new Map([...tensors, ["head.bias", f32([3], NaN)]]),
        metadata,
        /element 0 of "head\.bias" is NaN/,
      ],
      [
        "another dtype",
        new Map([...tensors, ["head.bias", { dtype: "F64", shape: [1], data: Float64Array.of(1) }]]),
        metadata,
        /F32, got F64/,
      ],
    ];
    for (const [what, entries, notes, message] of cases) {
      await assert.rejects(decodeAdapter(pretrained, encodeSafetensors(entries, notes)), (error: Error) => {
        assert.ok(error instanceof CorruptFileError, `${what}: ${error}`);
        assert.match(error.message, message, what);
        return true;
      });
    }
    const unknown = new Map([...tensors, ["tail.weight", f32([1])]] as const);
    await assert.rejects(decodeAdapter(pretrained, encodeSafetensors(unknown, metadata)), {
      name: "AdapterMismatchError",
      message: /no parameter tail\.weight/,
    });
  });

  test("decodeAdapter() meets altered bytes with one of its two errors, or with a model that works", async () => {
    const { pretrained, model } = await adapted();
    const bytes = await encodeAdapter(model, { pretrained });
    const changes = fc.array(fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    let refused = 0;
    await holds(changes, async (changes) => {
      const altered = bytes.slice();
      for (const [at, value] of changes) altered[at] = value;
      try {
        assert.equal(adaptersOf(await decodeAdapter(pretrained, altered)).size, 2);
      } catch (error) {
        assert.ok(error instanceof CorruptFileError || error instanceof AdapterMismatchError, String(error));
        refused++;
      }
    }, 200);
    assert.ok(refused > 0);
  });

  test("encodeAdapter() leaks nothing", async () => {
    const { pretrained, model } = await adapted();
    const before = gpu.stats().liveBytes;
    await encodeAdapter(model, { pretrained });
    assert.equal(gpu.stats().liveBytes, before);
  });

  test("decodeAdapter() refuses any truncation with a CorruptFileError and leaks nothing", async () => {
    const { pretrained, model } = await adapted();
    const bytes = await encodeAdapter(model, { pretrained });
    const before = gpu.stats().liveBytes;
    await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: bytes.length - 1 }), async (length) => {
      await assert.rejects(decodeAdapter(pretrained, bytes.slice(0, length)), CorruptFileError);
    }));
    assert.equal(gpu.stats().liveBytes, before);
  });
});
