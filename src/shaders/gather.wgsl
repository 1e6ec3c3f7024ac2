// Picks entries of x [outer, length, inner] along the middle axis by index [outer, picks, inner], and its gradient.
//
// forward:  y[o, p, i] = x[o, index[o, p, i], i]; an index outside gives NaN. One thread a value of y.
// gradient: dx[o, r, i] = Σ_p dy[o, p, i] where index[o, p, i] = r, p in order. One thread a value of dx.
// 64 threads a workgroup; workgroups are counted along x, then y.

struct Params { outer: u32, length: u32, inner: u32, picks: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> source: array<f32>;
@group(0) @binding(3) var<storage, read_write> target_: array<f32>;

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64;
  if (at >= params.outer * params.picks * params.inner) { return; }
  let o = at / (params.picks * params.inner);
  let r = index[at];
  // WGSL takes no constant NaN, so its bits pass through a value that is known at run time.
  let outside = bitcast<f32>(0x7fc00000u | (params.outer & 0u));
  target_[at] = select(outside, source[(o * params.length + r) * params.inner + at % params.inner], r < params.length);
}

@compute @workgroup_size(64)
fn gradient(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64;
  if (at >= params.outer * params.length * params.inner) { return; }
  let o = at / (params.length * params.inner);
  let r = (at / params.inner) % params.length;
  var place = o * params.picks * params.inner + at % params.inner;
  var total = 0.0;
  for (var p = 0u; p < params.picks; p++) {
    if (index[place] == r) { total += source[place]; }
    place += params.inner;
  }
  target_[at] = total;
}
