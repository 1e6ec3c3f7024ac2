// As many multiply-adds as an adapter can do: chains of fma that never leave the registers.
//
//   c[i] = sum over CHAINS of (acc -> fma(acc, x, y)) applied STEPS * params.rounds times
//
// c holds one f32 a thread; a workgroup is 64 threads in a row. The chains are independent, so that one's latency hides
// behind the others. A round is long, as a software adapter spends a selection on each variable that a loop changes.
struct Params { rounds: u32, x: f32, y: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = params.x;
  let y = params.y;
//@for j in 0..CHAINS
  var acc{j} = f32(id.x + {j}u) * 1e-3;
//@end
  for (var i = 0u; i < params.rounds; i++) {
//@for s in 0..STEPS
//@for j in 0..CHAINS
    acc{j} = fma(acc{j}, x, y);
//@end
//@end
  }
  var sum = 0.0;
//@for j in 0..CHAINS
  sum += acc{j};
//@end
  c[id.x] = sum;
}
