import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BindGroupCache, type BufferRange } from "../../../src/engine/gpu/bind_group_cache.ts";
import type { PooledBuffer } from "../../../src/engine/gpu/buffer_pool.ts";
import type { Pipeline } from "../../../src/engine/gpu/pipeline_cache.ts";

/** A cache on a device whose bind groups are the descriptions they were made from. */
const fakeCache = () =>
  new BindGroupCache(
    { createBindGroup: (description: GPUBindGroupDescriptor) => description } as unknown as GPUDevice,
    {} as GPUBuffer,
  );
const pipelines = ["a", "b"].map((layout) => ({ layout }) as unknown as Pipeline);
const buffers = [1, 2, 3].map((id) => ({ id, buffer: {}, bytes: 1 << 20, lastUse: -1 }) as PooledBuffer);

test("BindGroupCache.get() gives one group for equal ranges and layouts, and another for any other", () => {
  const range = fc.record({
    buffer: fc.constantFrom(...buffers),
    offset: fc.constantFrom(0, 256, 512),
    bytes: fc.constantFrom(16, 256, 512),
  });
  const use = fc.tuple(fc.constantFrom(...pipelines), fc.array(range, { minLength: 1, maxLength: 3 }));
  fc.assert(fc.property(fc.array(use, { maxLength: 60 }), (uses) => {
    const cache = fakeCache();
    const known = new Map<string, GPUBindGroup>();
    for (const [pipeline, ranges] of uses) {
      const key = JSON.stringify([pipeline, ranges.map((each) => [each.buffer.id, each.offset, each.bytes])]);
      const group = cache.get(pipeline, ranges.map((each) => ({ ...each })));
      assert.equal(group, known.get(key) ?? group);
      known.set(key, group);
      const { layout, entries } = group as unknown as GPUBindGroupDescriptor;
      assert.equal(layout, pipeline.layout);
      assert.deepEqual(
        [...entries].slice(1).map(({ resource }) => resource),
        ranges.map(({ buffer, offset, bytes }) => ({ buffer: buffer.buffer, offset, size: bytes })),
      );
    }
    assert.equal(cache.created, known.size);
  }));
});

test("BindGroupCache keeps what is in use while others come and go, and forgets those", () => {
  const cache = fakeCache();
  const [pipeline] = pipelines as [Pipeline];
  const ranges = (offset: number): BufferRange[] => [{ buffer: buffers[0]!, offset, bytes: 16 }];
  const kept = cache.get(pipeline, ranges(0));
  const first = cache.get(pipeline, ranges(256));
  for (let i = 2; i < 40000; i++) {
    cache.get(pipeline, ranges(256 * i));
    if (i % 1000 === 0) assert.equal(cache.get(pipeline, ranges(0)), kept);
  }
  assert.equal(cache.created, 40000);
  assert.notEqual(cache.get(pipeline, ranges(256)), first);
});
