// One step of an optimiser over a parameter [members, perMember], in place. A member with active 0 doesn't move, bit for
// bit; its gradient is scaled by gradientScale[member] first (clipping).
//
// sgd:   v = momentum·v + (g + decay·p) (v = g + decay·p at the first step), p −= rate·v
// adamw: p −= rate·decay·p; m = β₁m + (1 − β₁)g; v = β₂v + (1 − β₂)g²; p −= rate·(m/c₁)/(√(v/c₂) + ε), with the bias
//        corrections cᵢ = 1 − βᵢᵗ from the host (Loshchilov & Hutter, arXiv 1711.05101)
// One thread a value; 64 threads a workgroup; workgroups are counted along x, then y.

struct Params {
  n: u32, perMember: u32, rate: f32, decay: f32,
  beta1: f32, beta2: f32, correction1: f32, correction2: f32, epsilon: f32, isFirst: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> isActive: array<f32>;
@group(0) @binding(3) var<storage, read> gradientScale: array<f32>;
@group(0) @binding(4) var<storage, read_write> parameter: array<f32>;
@group(0) @binding(5) var<storage, read_write> moment1: array<f32>;
@group(0) @binding(6) var<storage, read_write> moment2: array<f32>;

@compute @workgroup_size(64)
fn sgd(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  let member = i / params.perMember;
  if (i >= params.n || isActive[member] == 0.0) { return; }
  let p = parameter[i];
  let g = fma(params.decay, p, gradient[i] * gradientScale[member]);
  let v = select(fma(params.beta1, moment1[i], g), g, params.isFirst == 1);
  moment1[i] = v;
  parameter[i] = fma(-params.rate, v, p);
}

@compute @workgroup_size(64)
fn adamw(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  let member = i / params.perMember;
  if (i >= params.n || isActive[member] == 0.0) { return; }
  let g = gradient[i] * gradientScale[member];
  let decayed = parameter[i] * (1.0 - params.rate * params.decay);
  let m = fma(params.beta1, moment1[i], (1.0 - params.beta1) * g);
  let v = fma(params.beta2, moment2[i], (1.0 - params.beta2) * g * g);
  moment1[i] = m;
  moment2[i] = v;
  parameter[i] = decayed - params.rate * (m / params.correction1) / (sqrt(v / params.correction2) + params.epsilon);
}
