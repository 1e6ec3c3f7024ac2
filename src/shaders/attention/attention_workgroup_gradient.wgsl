// Gradients of attention for GPUs; layout as in attention_workgroup.wgsl, the rest as in attention_gradient.wgsl.
//@include "attention_gradient.wgsl"

const THREADS = ROWS * SLICES;
var<workgroup> tileB: array<vec4f, BLOCK * CHUNKS>;
var<workgroup> tileDB: array<vec4f, BLOCK * CHUNKS>;
var<workgroup> parts: array<f32, SLICES * BLOCK * ROWS>;
var<workgroup> dParts: array<f32, SLICES * BLOCK * ROWS>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let at = place(group.x + group.y * groups.x, lengthA(), ROWS);
  if (at.sequence >= params.sequences) { return; }
  let lane = thread % ROWS;
  let slice = thread / ROWS;
  let first = slice * SLICE;
  let index = at.first + lane;
  let row = min(index, lengthA() - 1u);
//@for i in 0..SLICE
  let a{i} = loadA(at, row, first + {i}u);
  let da{i} = loadDA(at, row, first + {i}u);
  var sum{i} = vec4f(0);
  var dSum{i} = vec4f(0);
//@end
//@if OF_KEYS
//@else
  var known = rows[rowsStart(at) + row];
  var part = 0.0;
//@for i in 0..SLICE
  part += dot4(y[yStart(at) + row * params.yRow + first + {i}u], da{i});
//@end
  parts[slice * ROWS + lane] = part;
  storageBarrier();
  workgroupBarrier();
  known.z = 0.0;
  for (var i = 0u; i < SLICES; i++) { known.z += parts[i * ROWS + lane]; }
  if (slice == 0u && index < params.queries) { rows[rowsStart(at) + index] = known; }
  workgroupBarrier();
//@end

  for (var j = 0u; j < lengthB(); j += BLOCK) {
    let count = min(BLOCK, lengthB() - j);
    for (var i = thread; i < count * CHUNKS; i += THREADS) {
      tileB[i] = loadB(at, j + i / CHUNKS, i % CHUNKS);
      tileDB[i] = loadDB(at, j + i / CHUNKS, i % CHUNKS);
    }
    workgroupBarrier();
    for (var h = 0u; h < count; h++) {
      var part = 0.0;
      var dPart = 0.0;
//@for i in 0..SLICE
      part += dot4(a{i}, tileB[h * CHUNKS + first + {i}u]);
      dPart += dot4(da{i}, tileDB[h * CHUNKS + first + {i}u]);
//@end
      parts[(slice * BLOCK + h) * ROWS + lane] = part;
      dParts[(slice * BLOCK + h) * ROWS + lane] = dPart;
    }
    workgroupBarrier();
//@for i in 0..SLICE
    var part{i} = vec4f(0);
    var dPart{i} = vec4f(0);
//@end
    for (var h = 0u; h < count; h++) {
      var score = 0.0;
      var dw = 0.0;
      for (var i = 0u; i < SLICES; i++) {
        score += parts[(i * BLOCK + h) * ROWS + lane];
        dw += dParts[(i * BLOCK + h) * ROWS + lane];
      }
//@if OF_KEYS
      let known = rows[rowsStart(at) + j + h];
      score = params.scale * score + hiding(at, j + h, row);
//@else
      score = params.scale * score + hiding(at, row, j + h);
//@end
      let w = exp1(score - known.x) * known.y;
      let ds = w * (dw - known.z);
//@for i in 0..SLICE
      part{i} = fma(vec4f(ds), tileB[h * CHUNKS + first + {i}u], part{i});
//@if OF_KEYS
      dPart{i} = fma(vec4f(w), tileDB[h * CHUNKS + first + {i}u], dPart{i});
//@end
//@end
    }
//@for i in 0..SLICE
    sum{i} += part{i};
    dSum{i} += dPart{i};
//@end
    workgroupBarrier();
  }

  if (index >= lengthA()) { return; }
//@for i in 0..SLICE
  storeA(at, index, first + {i}u, params.scale * sum{i}, dSum{i});
//@end
}
