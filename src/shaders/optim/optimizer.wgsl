// One step of an optimiser over parameters [members, ...] that lie side by side in one buffer, in place. A member with
// active 0 doesn't move, bit for bit; its gradient is scaled by gradientScale[member] first (clipping).
//
// sgd:   v = momentum·v + (g + decay·p) (v = g + decay·p at the first step), p −= rate·v
// adamw: p −= rate·decay·p; m = β₁m + (1 − β₁)g; v = β₂v + (1 − β₂)g²; p −= rate·(m/c₁)/(√(v/c₂) + ε), with the bias
//        corrections cᵢ = 1 − βᵢᵗ from the host (Loshchilov & Hutter, arXiv 1711.05101)
//
// chunks [.., 4] divides one member's part of each parameter: where the parameter starts in the moments' buffer, its elements
// per member, where the chunk starts among these, its length. Gradients and parameters start
// gradientShift and parameterShift further (modulo 2³²).
// One workgroup of 64 threads for each chunk of a member; workgroups are counted along x, then y.

struct Params {
  firstChunk: u32, chunks: u32, total: u32, gradientShift: u32, parameterShift: u32,
  rate: f32, decay: f32, beta1: f32, beta2: f32, correction1: f32, correction2: f32, epsilon: f32, isFirst: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> chunks: array<vec4u>;
@group(0) @binding(2) var<storage, read> isActive: array<f32>;
@group(0) @binding(3) var<storage, read> gradientScale: array<f32>;
@group(0) @binding(4) var<storage, read> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> parameter: array<f32>;
@group(0) @binding(6) var<storage, read_write> moment1: array<f32>;
@group(0) @binding(7) var<storage, read_write> moment2: array<f32>;

struct Piece { first: u32, end: u32, scale: f32 }

// The elements of a workgroup; none for an inactive member.
fn pieceOf(group: vec3u, groups: vec3u) -> Piece {
  let i = group.x + group.y * groups.x;
  if (i >= params.total) { return Piece(0, 0, 0); }
  let member = i / params.chunks;
  let chunk = chunks[params.firstChunk + i % params.chunks];
  if (isActive[member] == 0.0) { return Piece(0, 0, 0); }
  let first = chunk.x + member * chunk.y + chunk.z;
  return Piece(first, first + chunk.w, gradientScale[member]);
}

@compute @workgroup_size(64)
fn sgd(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let piece = pieceOf(group, groups);
  for (var i = piece.first + lane; i < piece.end; i += 64) {
    let at = i + params.parameterShift;
    let p = parameter[at];
    let g = fma(params.decay, p, gradient[i + params.gradientShift] * piece.scale);
    let v = select(fma(params.beta1, moment1[i], g), g, params.isFirst == 1);
    moment1[i] = v;
    parameter[at] = fma(-params.rate, v, p);
  }
}

@compute @workgroup_size(64)
fn adamw(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let piece = pieceOf(group, groups);
  for (var i = piece.first + lane; i < piece.end; i += 64) {
    let at = i + params.parameterShift;
    let g = gradient[i + params.gradientShift] * piece.scale;
    let decayed = parameter[at] * (1.0 - params.rate * params.decay);
    let m = fma(params.beta1, moment1[i], (1.0 - params.beta1) * g);
    let v = fma(params.beta2, moment2[i], (1.0 - params.beta2) * g * g);
    moment1[i] = m;
    moment2[i] = v;
    parameter[at] = decayed - params.rate * (m / params.correction1) / (sqrt(v / params.correction2) + params.epsilon);
  }
}
