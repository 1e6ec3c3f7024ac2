// Shared by the gradient kernels of both families. They recompute the attention weights from what the forward pass kept in
// `rows`.
//
//   queries   hold queries and pass over the keys:    dQ = scale·Σ ds·k, and D = Σ y∘dy goes into `rows`
//   keys      (OF_KEYS) hold keys and pass over the queries:    dV = Σ w·dy, dK = scale·Σ ds·q; run after `queries`
//
//   w = e^(score − largest) / Σ, ds = w·(dy·v − D)
//
// The rows that are held are A and dA (q and dy, or k and v), those that pass by are B and dB (k and v, or q and dy). A
// block's sums are chains of their own, in ascending order, added to the value before: hidden keys, and queries whose dy is 0,
// add +0 and change no bit. JOINED: dK and dV lie in one tensor, bound once, as dk.
//
// Source: T. Dao, "FlashAttention-2" (arXiv 2307.08691), algorithm 2, in two kernels because WGSL has no atomic
// addition of floats.
//@include "attention.wgsl"

@group(0) @binding(5) var<storage, read> dy: array<vec4f>;
//@if OF_KEYS
@group(0) @binding(6) var<storage, read> rows: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dk: array<vec4f>;
//@if JOINED
//@else
@group(0) @binding(8) var<storage, read_write> dv: array<vec4f>;
//@end
fn lengthA() -> u32 { return params.keys; }
fn lengthB() -> u32 { return params.queries; }
fn loadA(at: Place, row: u32, c: u32) -> vec4f { return k[kStart(at) + row * params.kRow + c]; }
fn loadDA(at: Place, row: u32, c: u32) -> vec4f { return v[vStart(at) + row * params.vRow + c]; }
fn loadB(at: Place, row: u32, c: u32) -> vec4f { return q[qStart(at) + row * params.qRow + c]; }
fn loadDB(at: Place, row: u32, c: u32) -> vec4f { return dy[yStart(at) + row * params.yRow + c]; }
fn storeA(at: Place, row: u32, c: u32, dA: vec4f, dDA: vec4f) {
  dk[kStart(at) + row * params.kRow + c] = dA;
//@if JOINED
  dk[vStart(at) + row * params.vRow + c] = dDA;
//@else
  dv[vStart(at) + row * params.vRow + c] = dDA;
//@end
}
//@else
@group(0) @binding(6) var<storage, read> y: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> rows: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> dq: array<vec4f>;
fn lengthA() -> u32 { return params.queries; }
fn lengthB() -> u32 { return params.keys; }
fn loadA(at: Place, row: u32, c: u32) -> vec4f { return q[qStart(at) + row * params.qRow + c]; }
fn loadDA(at: Place, row: u32, c: u32) -> vec4f { return dy[yStart(at) + row * params.yRow + c]; }
fn loadB(at: Place, row: u32, c: u32) -> vec4f { return k[kStart(at) + row * params.kRow + c]; }
fn loadDB(at: Place, row: u32, c: u32) -> vec4f { return v[vStart(at) + row * params.vRow + c]; }
fn storeA(at: Place, row: u32, c: u32, dA: vec4f, unused: vec4f) { dq[qStart(at) + row * params.qRow + c] = dA; }
//@end
