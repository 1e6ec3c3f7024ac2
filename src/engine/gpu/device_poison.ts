import { DeviceLostError, GpuValidationError, OutOfMemoryError } from "../errors.ts";

const lossNoticeMilliseconds = 100;

/**
 * What has gone wrong on a device. WebGPU reports most errors asynchronously and apart from the call that caused them; until
 * they were thrown, nothing that was computed can be trusted.
 */
export class DevicePoison {
  readonly #device: GPUDevice;
  readonly #placeOf: (message: string) => string | undefined;
  #lost: string | null = null;
  #errors: GPUError[] = [];

  /** @param placeOf returns the file and line that a message of the shader compiler is about. */
  constructor(device: GPUDevice, placeOf: (message: string) => string | undefined) {
    this.#device = device;
    this.#placeOf = placeOf;
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#errors.push((event as GPUUncapturedErrorEvent).error);
    });
    void device.lost.then((info) => this.lose(info.message || info.reason));
  }

  /** Whether the device is lost for good. */
  get isLost(): boolean {
    return this.#lost !== null;
  }

  /** Marks the device as lost; the first reason stands. */
  lose(reason: string): void {
    this.#lost ??= reason;
  }

  /**
   * Throws what has gone wrong since the last call; the loss of the device is thrown by every call.
   *
   * @throws {DeviceLostError} when the device is gone.
   * @throws {OutOfMemoryError} when the device could not allocate a buffer.
   * @throws {GpuValidationError} when the device rejected a command.
   */
  assertUsable(): void {
    if (this.#lost !== null) {
      throw new DeviceLostError(
        `Cannot use the GPU device: ${this.#lost}; open a new one and reload from a checkpoint`,
      );
    }
    if (this.#errors.length === 0) return;
    const [first, ...rest] = this.#errors as [GPUError, ...GPUError[]];
    this.#errors = [];
    const more = rest.length > 0 ? ` (and ${rest.length} more)` : "";
    if (first.constructor.name === "GPUOutOfMemoryError") {
      throw new OutOfMemoryError(`Cannot allocate GPU memory: ${first.message}${more}`);
    }
    const place = this.#placeOf(first.message);
    throw new GpuValidationError(
      `Cannot trust results since the last readback: ${place ? `${place}: ` : ""}${first.message}${more}`,
    );
  }

  /** Throws the cause of a failed readback; a lost device may be reported a little after the failure. */
  async explain(error: unknown): Promise<never> {
    this.assertUsable();
    const patience = new Promise((resolve) => setTimeout(resolve, lossNoticeMilliseconds));
    await Promise.race([this.#device.lost, patience]);
    this.assertUsable();
    throw error;
  }
}
