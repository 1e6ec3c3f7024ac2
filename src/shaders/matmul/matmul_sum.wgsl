// Second pass of a matrix product whose k axis was split: C = act(alpha * sum of the parts + bias) [+ residual], the
// parts [splits, batch, m, n] added one after another. Bindings and parameters as in matmul.wgsl, the parts in place of A.
// One thread an element of C; 64 threads a workgroup; workgroups are counted along x, then y.
//@include "matmul.wgsl"

@group(0) @binding(1) var<storage, read> parts: array<f32>;

const TILE_M = 1;
const TILE_N = 1;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  let size = params.batch * params.m * params.n;
  if (i >= size) { return; }
  var total = parts[i];
  for (var split = 1u; split < params.splits; split++) { total += parts[split * size + i]; }
  let column = i % params.n;
  let row = i / params.n % params.m;
  let z = i / (params.n * params.m);
  let outer = z / params.batchInner;
  let inner = z % params.batchInner;
  let at = params.cOffset + outer * params.cOuter + inner * params.cInner + row * params.cRow + column;
  let shift = bias_of(outer * params.biasOuter + inner * params.biasInner + column);
  finish(total, alpha_of(outer), shift, at);
//@if ACTIVATION
  let activated = activate(vec4f(c[at]));
  store_activated(activated.value.x, activated.slope.x, at);
//@end
}
