// One round of one-sided Jacobi (Hestenes 1958): the rows of N stacks are paired off, and each pair is rotated so that
// its first `head` vec4s become orthogonal. What follows them in the row is rotated along (the transformation so far).
//
// rows [N, n, width] of vec4: rotated in place. cosines [sweeps + 1, N]: the bits of the largest |cos| met in each sweep;
// a stack whose last sweep met none above the tolerance is left alone, so its bits don't depend on the other stacks.
//
// Round r of a tournament of `players` (n, made even): pair 0 is (r, players − 1), pair k is (r + k, r − k) modulo
// players − 1; all pairs meet once in players − 1 rounds.
// Rows shorter than 2^-50 are zero for our purposes: they neither rotate nor count.
// A job is one pair; LANES threads a job (see lanes.wgsl). workgroup_id.z is the stack.

struct Params { n: u32, players: u32, head: u32, width: u32, round: u32, sweep: u32, tolerance: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> rows: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> cosines: array<atomic<u32>>;

const negligible = 0x1p-100f;

@compute @workgroup_size(LANES, GROUPS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let pair = group.x * GROUPS + local.y;
  let circle = params.players - 1u;
  let first = (params.round + pair) % circle;
  let second = select((params.round + circle - pair) % circle, circle, pair == 0u);
  let low = min(first, second);
  let high = max(first, second);
  let slot = params.sweep * groups.z + group.z;
  let last = bitcast<f32>(atomicLoad(&cosines[slot - groups.z]));
  let live = pair < params.players / 2u && high < params.n && last > params.tolerance;
  let x = (group.z * params.n + low) * params.width;
  let y = (group.z * params.n + high) * params.width;

  var xx = vec4f(0);
  var yy = vec4f(0);
  var xy = vec4f(0);
  for (var q = local.x; q < select(0u, params.head, live); q += LANES) {
    let xq = rows[x + q];
    let yq = rows[y + q];
    xx = fma(xq, xq, xx);
    yy = fma(yq, yq, yy);
    xy = fma(xq, yq, xy);
  }
  let sums = sum_over_lanes(vec4f(sum4(xx), sum4(yy), sum4(xy), 0), local);
  let alpha = sums.x;
  let beta = sums.y;
  let gamma = sums.z;
  var cosine = 0.0;
  if (min(alpha, beta) > negligible) { cosine = abs(gamma) / (sqrt(alpha) * sqrt(beta)); }
  if (live && local.x == 0u && cosine > 0.0) { atomicMax(&cosines[slot], bitcast<u32>(cosine)); }
  if (!live || cosine <= params.tolerance) { return; }

  let zeta = (beta - alpha) / (2.0 * gamma);
  // Beyond 2^12, √(1 + ζ²) is |ζ| to the last bit, and ζ² might overflow.
  var t = 0.5 / zeta;
  if (abs(zeta) < 4096.0) { t = select(1.0, -1.0, zeta < 0.0) / (abs(zeta) + sqrt(fma(zeta, zeta, 1.0))); }
  // Rutishauser's form, x − s·(y + h·x) with h = tan(θ/2): a driver's inexact root or quotient turns the angle a little, but
  // doesn't stretch the rows, which over thousands of rotations would add up.
  let h = t / (1.0 + sqrt(fma(t, t, 1.0)));
  let d = fma(h, h, 1.0);
  let inverse = 1.0 / d;
  let rough = 2.0 * h * inverse;
  let s = fma(fma(-rough, d, 2.0 * h), inverse, rough);
  for (var q = local.x; q < params.width; q += LANES) {
    let xq = rows[x + q];
    let yq = rows[y + q];
    rows[x + q] = fma(vec4f(-s), fma(vec4f(h), xq, yq), xq);
    rows[y + q] = fma(vec4f(s), fma(vec4f(-h), yq, xq), yq);
  }
}
