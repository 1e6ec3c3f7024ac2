// As many multiply-adds as a graphics processor can do: chains of fma in registers, in long bodies without a branch.
//
//   c[i] = sum over CHAINS of (acc -> fma(acc, x, y)) applied UNROLL * params.steps times
//
// c holds one f32 a thread; a workgroup is 256 threads in a row, counted along x. The chains are independent, so that one's
// latency hides behind the others and behind other threads.
struct Params { steps: u32, x: f32, y: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = params.x;
  let y = params.y;
//@for j in 0..CHAINS
  var acc{j} = f32(id.x + {j}u) * 1e-3;
//@end
  for (var i = 0u; i < params.steps; i++) {
//@for u in 0..UNROLL
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
