import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type PooledBuffer, sizeClass } from "../../../src/engine/gpu/buffer_pool.ts";
import { openGpu } from "../../../src/engine/gpu/open_gpu.ts";
import { ones } from "../../../src/engine/ops/create.ts";
import { add } from "../../../src/engine/ops/elementwise.ts";
import { tensor } from "../../../src/engine/tensor.ts";
import { tidy } from "../../../src/engine/tidy.ts";
import { testGpu } from "../harness.ts";

const gpu = await testGpu();

test("sizeClass() holds the request, wastes at most an eighth, and is its own class", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (bytes) => {
    const size = sizeClass(bytes);
    assert.ok(size >= bytes && size % 256 === 0 && sizeClass(size) === size);
    // Below 2 KiB the step of 256 bytes is coarser than an eighth.
    assert.ok(size <= Math.max(bytes * 1.125, bytes + 255, 256), `${bytes} → ${size}`);
  }));
});

test("BufferPool never lends one buffer twice, and counts what is out", async () => {
  const commands = fc.array(
    fc.record({
      bytes: fc.constantFrom(0, 4, 256, 300, 1000, 5000, 70_000, 90_000, 120_000),
      release: fc.boolean(),
      isExact: fc.boolean(),
      pick: fc.nat(),
    }),
    { maxLength: 40 },
  );
  await fc.assert(fc.asyncProperty(commands, async (steps) => {
    const before = gpu.stats().liveBytes;
    const lent: PooledBuffer[] = [];
    for (const { bytes, release, isExact, pick } of steps) {
      if (release && lent.length > 0) {
        gpu.release(lent.splice(pick % lent.length, 1)[0]!);
      } else {
        const buffer = gpu.acquire(bytes, () => "test", { isExact });
        if (isExact) assert.equal(buffer.bytes, Math.max(256, Math.ceil(bytes / 16) * 16));
        assert.ok(!lent.includes(buffer));
        assert.ok(buffer.bytes >= bytes && buffer.buffer.size === buffer.size && buffer.size >= buffer.bytes);
        lent.push(buffer);
      }
      const out = lent.reduce((sum, each) => sum + each.bytes, 0);
      assert.equal(gpu.stats().liveBytes - before, out);
      assert.ok(gpu.stats().peakBytes >= gpu.stats().liveBytes);
    }
    for (const each of lent) gpu.release(each);
  }));
});

test("Gpu.maxHeldBytes has idle buffers give way, and what is in use goes on", async () => {
  using limited = await openGpu();
  const held = () => limited.stats().liveBytes + limited.stats().idleBytes;
  const kept = tensor(limited, Float32Array.from({ length: 2048 }, (_, i) => i));
  limited.maxHeldBytes = 40 * 1024;
  for (let n = 1; n <= 40; n++) {
    const [a, b] = [ones(limited, [n * 64]), ones(limited, [n * 32])];
    // 8 KiB are kept, at most 10 + 5 KiB are in use beside.
    assert.ok(held() <= limited.maxHeldBytes, `${held()} bytes held`);
    b.dispose();
    a.dispose();
  }
  const large = ones(limited, [64 * 1024]);
  assert.equal(limited.stats().idleBytes, 0, "what is in use may be over the limit");
  assert.equal((await large.floats())[65535], 1);
  assert.ok((await kept.floats()).every((value, i) => value === i));
});

test("BufferPool reuses a released buffer instead of making one", () => {
  const use = (size: number) => ones(gpu, [size]).dispose();
  use(1000);
  const { created } = gpu.stats();
  for (let i = 0; i < 10; i++) use(1000 - i);
  assert.equal(gpu.stats().created, created);
});

test("BufferPool lends a larger buffer, at most by half, instead of making one, and counts what was asked for", async () => {
  using own = await openGpu();
  const acquire = (bytes: number) => own.acquire(bytes, () => "test");
  const [large, small] = [acquire(2 ** 20), acquire(2 ** 15)];
  own.release(large);
  own.release(small);
  const { created } = own.stats();
  const again = acquire(0.7 * 2 ** 20);
  assert.deepEqual([again, again.bytes], [large, sizeClass(0.7 * 2 ** 20)]);
  assert.equal(own.stats().liveBytes, again.bytes);
  assert.equal(own.stats().idleBytes, 2 ** 15);
  own.release(again);
  assert.deepEqual([own.stats().liveBytes, own.stats().idleBytes], [0, 2 ** 20 + 2 ** 15]);
  assert.equal(own.stats().created, created);
  // Neither what is too large nor what is small anyway.
  assert.notEqual(acquire(0.6 * 2 ** 20), large);
  assert.notEqual(acquire(0.8 * 2 ** 15), small);
  assert.equal(own.stats().created, created + 2);
  // A new one takes the place of the one that is a little smaller.
  const larger = acquire(1.2 * 2 ** 20);
  assert.equal(own.stats().idleBytes, 2 ** 15);
  own.release(larger);
  assert.equal(acquire(2 ** 20), larger);
});

test("BufferPool keeps at most maxIdleBytes, and results survive the buffers it destroys", async () => {
  const maxIdleBytes = 64 * 1024;
  using small = await openGpu({ maxIdleBytes });
  using y = tidy(() => {
    let sum = tensor(small, new Float32Array(5000));
    // Each step releases another size while the commands that name it still wait.
    for (let i = 0; i < 100; i++) {
      ones(small, [5000 + 50 * i]).dispose();
      sum = add(sum, 1);
    }
    return sum;
  });
  assert.ok(small.stats().idleBytes <= maxIdleBytes, `${small.stats().idleBytes} idle bytes`);
  assert.ok((await y.floats()).every((value) => value === 100));
  small.trim();
  assert.equal(small.stats().idleBytes, 0);
  assert.ok((await y.floats()).every((value) => value === 100), "a tensor alive is not trimmed");
});

test("tensor() over the adapter's binding limit is refused by name, and nothing is lost", async () => {
  const limit = Math.min(gpu.device.limits.maxStorageBufferBindingSize, gpu.device.limits.maxBufferSize);
  const before = gpu.stats();
  const rows = Math.floor(limit / 4096) + 1;
  assert.throws(() => ones(gpu, [rows, 1024]), (error: Error) => {
    assert.equal(error.name, "OutOfMemoryError");
    assert.ok(
      error.message.includes(`tensor [${rows}, 1024] of f32`) && error.message.includes(String(limit)),
      error.message,
    );
    return true;
  });
  assert.deepEqual(gpu.stats(), before);
  using x = tensor(gpu, [1]);
  assert.equal(await x.item(), 1);
});
