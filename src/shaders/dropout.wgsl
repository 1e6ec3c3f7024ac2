// Dropout with counter-based randomness: y[i] = x[i]·keep/(1 − rate), keep by Philox4x32-10 (Salmon et al., SC 2011)
// under the key of the value's member, so that a result depends on neither order nor neighbours.
//
// x, y: [members, perMember]; keys [members, 2]. The counter is (i / 4, site, 0, 0), i counted within the member; its
// four words decide four neighbouring values: kept where word >= threshold = rate·2³². One thread a value; 64 threads a
// workgroup; workgroups are counted along x, then y.

struct Params { n: u32, perMember: u32, site: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> keys: array<vec2u>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// High and low words of a 32×32-bit product.
fn mul_wide(a: u32, b: u32) -> vec2u {
  let al = a & 0xffffu; let ah = a >> 16u; let bl = b & 0xffffu; let bh = b >> 16u;
  let mid = ah * bl + ((al * bl) >> 16u);
  let mid2 = al * bh + (mid & 0xffffu);
  return vec2u(ah * bh + (mid >> 16u) + (mid2 >> 16u), a * b);
}

fn philox(start: vec4u, firstKey: vec2u) -> vec4u {
  var counter = start;
  var key = firstKey;
  for (var round = 0; round < 10; round++) {
    let p0 = mul_wide(0xd2511f53u, counter.x);
    let p1 = mul_wide(0xcd9e8d57u, counter.z);
    counter = vec4u(p1.x ^ counter.y ^ key.x, p1.y, p0.x ^ counter.w ^ key.y, p0.y);
    key += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return counter;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64;
  if (at >= params.n) { return; }
  let i = at % params.perMember;
  let words = philox(vec4u(i / 4, params.site, 0, 0), keys[at / params.perMember]);
  y[at] = select(0.0, x[at] * params.scale, words[i % 4] >= params.threshold);
}
