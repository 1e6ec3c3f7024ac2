// One round of one-sided Jacobi (Hestenes 1958) on N stacks of rows: blocks of two rows are paired off, and the four rows
// of each pair are rotated so that their first `head` vec4s come nearer to orthogonal. What follows in the rows (the
// transformation so far) is rotated along. Four rows at once halve the loads of plain pairs.
//
// rows [N, n, width] of vec4, n a multiple of 4: rotated in place. cosines [sweeps + 1, N]: the bits of the largest |cos|
// between rows met in each sweep; a stack whose last sweep met none above the tolerance is left alone, so its bits don't
// depend on the other stacks. Rows shorter than 2^-50 count as zero: they neither rotate nor enter the cosines.
//
// Round r of a tournament of `blocks` (even): pair 0 is (r, blocks − 1), pair k is (r + k, r − k) modulo blocks − 1; all pairs
// meet once in blocks − 1 rounds.
// A job is one pair of blocks; LANES threads a job (see lanes.wgsl). workgroup_id.z is the stack.
//@include "../common/lanes.wgsl"

struct Params { blocks: u32, head: u32, width: u32, round: u32, sweep: u32, tolerance: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> rows: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> cosines: array<atomic<u32>>;

const negligible = 0x1p-100f;

// tan(θ/2) and sin θ of the rotations that make two pairs orthogonal, from ‖x‖², ‖y‖² and x·y; 0 where they are already.
fn half_tangents(alpha: vec2f, beta: vec2f, gamma: vec2f, enough: f32) -> vec2f {
  let bound = enough * sqrt(max(alpha, vec2f(0))) * sqrt(max(beta, vec2f(0)));
  let rotates = (abs(gamma) > bound) & (min(alpha, beta) > vec2f(negligible));
  let zeta = (beta - alpha) / (2.0 * select(vec2f(1), gamma, rotates));
  // Beyond 2^12, √(1 + ζ²) is |ζ| to the last bit, and ζ² might overflow.
  let size = abs(zeta);
  let near = min(size, vec2f(4096));
  let t = select(vec2f(1), vec2f(-1), zeta < vec2f(0)) / (size + select(size, sqrt(fma(near, near, vec2f(1))), size < vec2f(4096)));
  return select(vec2f(0), t / (1.0 + sqrt(fma(t, t, vec2f(1)))), rotates);
}

// Rows 0 and 1, and 2 and 3, by x − s·(y + h·x) and y + s·(x − h·y) (Rutishauser).
fn rotate(m: mat4x4f, s: vec2f, h: vec2f) -> mat4x4f { return m + turn(m, s, h); }

fn turn(m: mat4x4f, s: vec2f, h: vec2f) -> mat4x4f {
  return mat4x4f(
    -s.x * fma(vec4f(h.x), m[0], m[1]), s.x * fma(vec4f(-h.x), m[1], m[0]),
    -s.y * fma(vec4f(h.y), m[2], m[3]), s.y * fma(vec4f(-h.y), m[3], m[2]),
  );
}

// Index 1 goes last: after three times, each of 0 … 3 has met each other and stands where it began.
fn cycle(m: mat4x4f) -> mat4x4f { return mat4x4f(m[0], m[2], m[3], m[1]); }

@compute @workgroup_size(LANES, GROUPS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let pair = group.x * GROUPS + local.y;
  let circle = params.blocks - 1u;
  let first = (params.round + pair) % circle;
  let second = select((params.round + circle - pair) % circle, circle, pair == 0u);
  let slot = params.sweep * groups.z + group.z;
  let live = pair < params.blocks / 2u && bitcast<f32>(atomicLoad(&cosines[slot - groups.z])) > params.tolerance;
  let at0 = (group.z * params.blocks + first) * 2u * params.width;
  let at1 = at0 + params.width;
  let at2 = (group.z * params.blocks + second) * 2u * params.width;
  let at3 = at2 + params.width;

  var g00 = vec4f(0); var g01 = vec4f(0); var g02 = vec4f(0); var g03 = vec4f(0); var g11 = vec4f(0);
  var g12 = vec4f(0); var g13 = vec4f(0); var g22 = vec4f(0); var g23 = vec4f(0); var g33 = vec4f(0);
  for (var q = local.x; q < select(0u, params.head, live); q += LANES) {
    let r0 = rows[at0 + q];
    let r1 = rows[at1 + q];
    let r2 = rows[at2 + q];
    let r3 = rows[at3 + q];
    g00 = fma(r0, r0, g00); g01 = fma(r0, r1, g01); g02 = fma(r0, r2, g02); g03 = fma(r0, r3, g03); g11 = fma(r1, r1, g11);
    g12 = fma(r1, r2, g12); g13 = fma(r1, r3, g13); g22 = fma(r2, r2, g22); g23 = fma(r2, r3, g23); g33 = fma(r3, r3, g33);
  }
  let sums0 = sum_over_lanes(vec4f(sum4(g00), sum4(g01), sum4(g02), sum4(g03)), local);
  let sums1 = sum_over_lanes(vec4f(sum4(g11), sum4(g12), sum4(g13), sum4(g22)), local);
  let sums2 = sum_over_lanes(vec4f(sum4(g23), sum4(g33), 0, 0), local);
  let squares = vec4f(sums0.x, sums1.x, sums1.w, sums2.y);
  let inverse = select(vec4f(0), 1.0 / sqrt(squares), squares > vec4f(negligible));
  let with0 = abs(sums0.yzw) * inverse.yzw * inverse.x;
  let others = abs(vec3f(sums1.yz, sums2.x)) * vec3f(inverse.zw * inverse.y, inverse.z * inverse.w);
  let largest = max(with0, others);
  let cosine = max(largest.x, max(largest.y, largest.z));
  if (live && local.x == 0u && cosine > 0.0) { atomicMax(&cosines[slot], bitcast<u32>(cosine)); }
  // Left alone, rows just below the tolerance come out of the others' rotations just above it, and cost a sweep.
  let enough = 0.25 * params.tolerance;
  if (!live || cosine <= enough) { return; }

  // The rotations are found on the four rows' Gram matrix, and gathered in I + d: their product less the identity, so that the
  // tiny shortening of the diagonal, which keeps lengths as they are, isn't rounded away.
  var gram = mat4x4f(sums0, vec4f(sums0.y, sums1.xyz), vec4f(sums0.z, sums1.yw, sums2.x), vec4f(sums0.w, sums1.z, sums2.xy));
  var unit = mat4x4f(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1);
  var d = mat4x4f();
  for (var i = 0u; i < 3u; i++) {
    let h = half_tangents(vec2f(gram[0].x, gram[2].z), vec2f(gram[1].y, gram[3].w), vec2f(gram[0].y, gram[2].w), enough);
    // One Newton step for the quotient: a driver's inexact division would stretch the rows.
    let divisor = fma(h, h, vec2f(1));
    let quotient = 1.0 / divisor;
    let rough = 2.0 * h * quotient;
    let s = fma(fma(-rough, divisor, 2.0 * h), quotient, rough);
    d = cycle(d + turn(unit + d, s, h));
    unit = cycle(unit);
    let turned = cycle(rotate(transpose(rotate(gram, s, h)), s, h));
    gram = mat4x4f(turned[0].xzwy, turned[1].xzwy, turned[2].xzwy, turned[3].xzwy);
  }
  for (var q = local.x; q < params.width; q += LANES) {
    let r0 = rows[at0 + q];
    let r1 = rows[at1 + q];
    let r2 = rows[at2 + q];
    let r3 = rows[at3 + q];
    rows[at0 + q] = r0 + fma(vec4f(d[0].x), r0, fma(vec4f(d[0].y), r1, fma(vec4f(d[0].z), r2, d[0].w * r3)));
    rows[at1 + q] = r1 + fma(vec4f(d[1].x), r0, fma(vec4f(d[1].y), r1, fma(vec4f(d[1].z), r2, d[1].w * r3)));
    rows[at2 + q] = r2 + fma(vec4f(d[2].x), r0, fma(vec4f(d[2].y), r1, fma(vec4f(d[2].z), r2, d[2].w * r3)));
    rows[at3 + q] = r3 + fma(vec4f(d[3].x), r0, fma(vec4f(d[3].y), r1, fma(vec4f(d[3].z), r2, d[3].w * r3)));
  }
}
