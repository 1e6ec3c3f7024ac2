// Shared by all attention kernels: the memory layout, and the scale and mask of a score.
//
//   y = softmax(scale·QKᵀ + mask)·V, a head of a sequence at a time       Q: queries × size, K, V: keys × size
//
// Every row of Q, K, V and of their gradients is read and written by four elements; offsets and distances of rows are
// counted in such vectors, and a head is CHUNKS = params.chunks of them wide. Sequences follow each other without gaps; a
// head's columns are neighbours in a row. The gradients of Q, K and V have the layout of Q, K and V; y and its gradient are rows
// of heads·size. `rows` holds what the backward pass needs to know about each query, [sequence, head, query]: the largest
// score, 1 / Σ e^(score − largest), and D = Σ y∘dy. The first two are kept apart, and not as the one number
// largest + log Σ, because that rounds Σ away where scores are large.
//
// MASK_KEYS: mask is [sequences, keys]; MASK_SCORES: [sequences, heads, queries, keys]; else it isn't read.
//@include "../common/math.wgsl"

struct Params {
  queries: u32, keys: u32, heads: u32, sequences: u32,
  qOffset: u32, qRow: u32, kOffset: u32, kRow: u32,
  vOffset: u32, vRow: u32, yRow: u32, chunks: u32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> mask: array<f32>;

// Below every score, also of a hidden key; a key that isn't there weighs e^(this − largest) = 0 exactly.
const NOTHING = -3e38;

// Where a workgroup's rows begin, and which head of which sequence they belong to.
struct Place { first: u32, head: u32, sequence: u32 }

fn place(id: u32, length: u32, tile: u32) -> Place {
  let tiles = (length + tile - 1u) / tile;
  return Place(id % tiles * tile, id / tiles % params.heads, id / (tiles * params.heads));
}

fn qStart(at: Place) -> u32 { return params.qOffset + at.sequence * params.queries * params.qRow + at.head * CHUNKS; }
fn kStart(at: Place) -> u32 { return params.kOffset + at.sequence * params.keys * params.kRow + at.head * CHUNKS; }
fn vStart(at: Place) -> u32 { return params.vOffset + at.sequence * params.keys * params.vRow + at.head * CHUNKS; }
fn yStart(at: Place) -> u32 { return at.sequence * params.queries * params.yRow + at.head * CHUNKS; }
fn rowsStart(at: Place) -> u32 { return (at.sequence * params.heads + at.head) * params.queries; }

// What a mask adds to a score.
fn hiding(at: Place, query: u32, key: u32) -> f32 {
  if (MASK_KEYS) { return mask[at.sequence * params.keys + key]; }
  if (MASK_SCORES) { return mask[(rowsStart(at) + query) * params.keys + key]; }
  return 0.0;
}

fn dot4(a: vec4f, b: vec4f) -> f32 { return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, a.x * b.x))); }

fn exp1(v: f32) -> f32 { return exp_(vec4f(v)).x; }
