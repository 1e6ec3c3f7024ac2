import assert from "node:assert/strict";
import { test } from "node:test";
import { Kernel, type KernelConstant } from "../../../src/engine/gpu/kernel.ts";
import { PipelineCache } from "../../../src/engine/gpu/pipeline_cache.ts";

/** A cache on a device that compiles nothing. */
const fakeCache = () =>
  new PipelineCache({
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createShaderModule: ({ code }: GPUShaderModuleDescriptor) => ({ code }),
    createComputePipeline: ({ compute }: GPUComputePipelineDescriptor) => compute.module,
  } as unknown as GPUDevice);
const kernels = ["one", "two"].map((name) =>
  new Kernel({ name, source: `// ${name}`, bindings: ["read", "write"] })
);

test("PipelineCache.get() compiles once for each kernel and set of constants", () => {
  const cache = fakeCache();
  const sets: (Record<string, KernelConstant> | undefined)[] = [
    undefined,
    { A: 1 },
    { A: 2 },
    { A: true },
    { B: 1 },
    { A: 1, B: 1 },
    { A: "B" },
    { A: "B", B: "A" },
  ];
  const compile = () => kernels.flatMap((kernel) => sets.map((set) => cache.get(kernel, set && { ...set })));
  const first = compile();
  assert.equal(new Set(first).size, 2 * sets.length);
  assert.deepEqual(compile(), first);
  assert.equal(cache.created, 2 * sets.length);
  assert.equal(cache.get(kernels[0]!, {}), first[0], "no constants and an empty set are the same");
  first.forEach(({ kernel, pipeline }, i) => {
    assert.equal(kernel, kernels[Math.floor(i / sets.length)]);
    assert.equal((pipeline as unknown as { code: string }).code, kernel.text(sets[i % sets.length] ?? {}));
  });
});

test("PipelineCache starts anew after 1,024 pipelines", () => {
  const cache = fakeCache();
  const get = (n: number) => cache.get(kernels[0]!, { N: n });
  const first = get(0);
  for (let i = 1; i < 1023; i++) get(i);
  assert.equal(get(0), first);
  get(1023);
  assert.notEqual(get(0), first);
  assert.equal(cache.created, 1025);
});
