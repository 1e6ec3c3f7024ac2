import type { Gpu } from "../src/engine/mod.ts";

const staging = new WeakMap<GPUDevice, GPUBuffer>();

/**
 * Waits until a device's queue has done all it was given, as jax-js's `blockUntilReady` does: one more small command into a
 * buffer that is then mapped. Every contender waits like this.
 */
export async function settleDevice(device: GPUDevice): Promise<void> {
  let buffer = staging.get(device);
  if (buffer === undefined) {
    buffer = device.createBuffer({
      size: 4,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    staging.set(device, buffer);
  }
  const encoder = device.createCommandEncoder();
  encoder.clearBuffer(buffer);
  device.queue.submit([encoder.finish()]);
  await buffer.mapAsync(GPUMapMode.READ);
  buffer.unmap();
}

/** Submits what the engine has recorded and waits until it is done. */
export async function settle(gpu: Gpu): Promise<void> {
  gpu.flush();
  await settleDevice(gpu.device);
}
