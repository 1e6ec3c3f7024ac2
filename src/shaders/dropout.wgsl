// Dropout with counter-based randomness: y[i] = x[i]·keep/(1 − rate), keep by Philox4x32-10
// under the key of the value's member, so that a result depends on neither order nor neighbours.
//
// x, y: [members, perMember]; keys [members, 2]. The counter is (i / 4, site, 0, 0), i counted within the member; its
// four words decide four neighbouring values: kept where word >= threshold = rate·2³². One thread a value; 64 threads a
// workgroup; workgroups are counted along x, then y.
//@include "common/philox.wgsl"

struct Params { n: u32, perMember: u32, site: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> keys: array<vec2u>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64;
  if (at >= params.n) { return; }
  let i = at % params.perMember;
  let words = philox(vec4u(i / 4, params.site, 0, 0), keys[at / params.perMember]);
  y[at] = select(0.0, x[at] * params.scale, words[i % 4] >= params.threshold);
}
