// The module `webgpu`, whose adapters pass for a graphics processor: of the other class, with subgroups of 32, and without
// half precision, as on some cards. So tests run the kernels for graphics processors on a software driver, and fail where
// they assume such a driver. The loader puts it in place where FEDERA_PRETEND_GPU is set.
import * as webgpu from "webgpu";

export const { globals } = webgpu;

export function create(options) {
  const gpu = webgpu.create(options);
  const requestAdapter = gpu.requestAdapter.bind(gpu);
  gpu.requestAdapter = async (...request) => {
    const adapter = await requestAdapter(...request);
    return adapter && disguise(adapter);
  };
  return gpu;
}

function disguise(adapter) {
  const info = {
    vendor: "federa",
    architecture: "",
    device: "0x0000",
    description: "Pretended GPU",
    subgroupMinSize: 32,
    subgroupMaxSize: 32,
    isFallbackAdapter: false,
  };
  const features = new Set(adapter.features);
  features.delete("shader-f16");
  return Object.defineProperties(adapter, { info: { value: info }, features: { value: features } });
}
