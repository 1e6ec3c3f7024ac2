// As many loads as an adapter can do: four neighbours at a time, from rows that stay in the nearest cache, as a matrix product reads
// its operands, and nothing but an addition for each.
//
//   c[i] = sum over rounds, STEPS and CHAINS of the four numbers of a texel, or of a vec4f of a buffer
//
// A workgroup is LANES threads in a row, which read neighbours at once; params.places is a multiple of LANES * STEPS * CHAINS.
struct Params { rounds: u32, places: u32 }

@group(0) @binding(0) var<uniform> params: Params;
//@if TEXELS
@group(0) @binding(1) var source: texture_storage_2d<rgba32float, read>;
fn load(i: u32) -> vec4f { return textureLoad(source, vec2u(i, 0u)); }
//@else
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
fn load(i: u32) -> vec4f { return source[i]; }
//@end
@group(0) @binding(2) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
//@for j in 0..CHAINS
  var sum{j} = vec4f();
//@end
  for (var i = 0u; i < params.rounds; i++) {
    let first = i * (LANES * STEPS * CHAINS) % params.places + lane;
//@for s in 0..STEPS
//@for j in 0..CHAINS
    sum{j} += load(first + ({s}u * CHAINS + {j}u) * LANES);
//@end
//@end
  }
  var total = vec4f();
//@for j in 0..CHAINS
  total += sum{j};
//@end
  c[id.x] = total.x + total.y + total.z + total.w;
}
