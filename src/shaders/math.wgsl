// Elementary functions that every kernel of activations shares, put before them: with bounded error on every adapter
// (drivers' own tanh overflows, and pow of a negative base is NaN).

fn exp_(v: vec4f) -> vec4f { return exp(v); }

fn log_(v: vec4f) -> vec4f { return log(v); }

// 1 / (1 + e^-v), with e^-|v| so that nothing overflows.
fn sigmoid_(v: vec4f) -> vec4f {
  let e = exp_(-abs(v));
  return select(vec4f(1), e, v < vec4f(0)) / (1.0 + e);
}

// Odd polynomial below 0.625 (Cephes tanhf, relative error 2e-7), else through e^-2|v|.
fn tanh_(v: vec4f) -> vec4f {
  let s = v * v;
  let near = v + v * s * ((((-5.70498872745e-3 * s + 2.06390887954e-2) * s - 5.37397155531e-2) * s
    + 1.33314422036e-1) * s - 3.33332819422e-1);
  let e = exp_(-2.0 * abs(v));
  let far = sign(v) * (1.0 - e) / (1.0 + e);
  return select(far, near, abs(v) < vec4f(0.625));
}

// Φ(v) = erfc(-v/√2)/2; erfc by a polynomial in t = 1/(1 + |z|/2) under the exponential, relative error 1.2e-7.
fn normal_cdf(v: vec4f) -> vec4f {
  let z = abs(v) * 0.7071067811865476;
  let t = 1.0 / (1.0 + 0.5 * z);
  let p = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806
    + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
  let tail = 0.5 * t * exp_(p - z * z);
  return select(1.0 - tail, tail, v < vec4f(0));
}

// √(2/π)(v + 0.044715v³); |v| is cut where the result has long saturated, so that v³ stays finite.
fn gelu_tanh_inner(v: vec4f) -> vec4f {
  let w = clamp(v, vec4f(-64), vec4f(64));
  return 0.7978845608028654 * (w + 0.044715 * w * w * w);
}

// base^e for any base: a negative base takes an integer exponent, else the result is NaN as in IEEE 754.
fn pow_(base: vec4f, e: vec4f) -> vec4f {
  let magnitude = select(pow(abs(base), e), vec4f(1), e == vec4f(0));
  let odd = abs(e - 2.0 * floor(0.5 * e)) == vec4f(1);
  return select(magnitude, -magnitude, (base < vec4f(0)) & odd);
}
