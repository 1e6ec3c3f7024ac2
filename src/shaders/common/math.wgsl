// Elementary functions with bounded error on every adapter (drivers' own tanh overflows, and their pow of a negative base
// is NaN).

// e^v = 2^n·e^r with v = n·ln 2 + r, |r| <= ln 2 / 2: ln 2 in two parts (Cody & Waite) and a polynomial of degree 7
// (Cephes expf), so the relative error stays below 2e-7 over the whole range. The power of two is applied as two factors, so that
// denormals and overflow to infinity come out right. NaN stays NaN: clamp alone would hide it on some drivers.
fn exp_(v: vec4f) -> vec4f {
  let x = clamp(v, vec4f(-104), vec4f(89));
  // Rounded by adding 1.5·2^23: a float's conversion to an integer costs CPU drivers more than all the rest.
  let n = bitcast<vec4i>(x * 1.4426950408889634 + 12582912.0) - 0x4b400000;
  // Mesa adds up the factors of one n, and the low part is lost; it can't see that these two are the same.
  let r = fma(-vec4f(-n), vec4f(2.12194440e-4), fma(vec4f(n), vec4f(-0.693359375), x));
  let p = ((((1.9875691500e-4 * r + 1.3981999507e-3) * r + 8.3334519073e-3) * r + 4.1665795894e-2) * r
    + 1.6666665459e-1) * r + 5.0000001201e-1;
  let near = fma(r * r, p, r) + 1.0;
  let half = n >> vec4u(1);
  let result = near * exp2_integer(half) * exp2_integer(n - half);
  return select(result, v, is_nan(v));
}

fn exp2_integer(n: vec4i) -> vec4f { return bitcast<vec4f>(vec4u(n + 127) << vec4u(23)); }

fn is_nan(v: vec4f) -> vec4<bool> { return (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u); }

// log v = e·ln 2 + log m with v = m·2^e, m in [√½, √2), relative error 2e-7. Zero, negative and non-finite values take
// the driver's own logarithm.
fn log_(v: vec4f) -> vec4f {
  let isDenormal = v < vec4f(1.17549435e-38);
  let bits = bitcast<vec4u>(select(v, v * 8388608.0, isDenormal));
  let above = (bits & vec4u(0x7fffffu)) > vec4u(0x3504f3u);
  let z = bitcast<vec4f>((bits & vec4u(0x7fffffu)) | select(vec4u(0x3f800000u), vec4u(0x3f000000u), above)) - 1.0;
  let e = vec4f(vec4i(bits >> vec4u(23)) - 127 + select(vec4i(0), vec4i(1), above) - select(vec4i(0), vec4i(23), isDenormal));
  let result = fma(e, vec4f(0.693359375), z + (log1p_tail(z) + e * -2.12194440e-4));
  return select(log(v), result, (v > vec4f(0)) & (v < vec4f(3.4028234e38)));
}

// log(1 + z) − z for z in [√½ − 1, √2 − 1], by Cephes' polynomial.
fn log1p_tail(z: vec4f) -> vec4f {
  let p = ((((((((7.0376836292e-2 * z - 1.1514610310e-1) * z + 1.1676998740e-1) * z - 1.2420140846e-1) * z
    + 1.4249322787e-1) * z - 1.6668057665e-1) * z + 2.0000714765e-1) * z - 2.4999993993e-1) * z + 3.3333331174e-1) * z * z * z;
  return fma(z * z, vec4f(-0.5), p);
}

// log(1 + z) for z in [0, 1], with the relative accuracy of z where it is small.
fn log1p_unit(z: vec4f) -> vec4f {
  return select(log_(1.0 + z), z + log1p_tail(z), z < vec4f(0.4));
}

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

// Φ(−|v|) from e = e^(−v²/2): their ratio, erfcx(|v|/√2)/2, is t·P(t) with t = 1/(1 + |v|/√8); P is a minimax fit of degree 8,
// relative error 5e-8 down to where the exponential vanishes.
fn normal_tail(v: vec4f, e: vec4f) -> vec4f {
  let t = 1.0 / fma(abs(v), vec4f(0.35355339), vec4f(1));
  let p = 0.141043019 + t * (0.141190972 + t * (0.121527835 + t * (0.101438264 + t * (-0.0135362905
    + t * (0.139357092 + t * (-0.243882054 + t * (0.142423432 + t * -0.0295622909)))))));
  return e * t * p;
}

// v·Φ(v) and its derivative Φ(v) + v·φ(v), which share their only exponential.
struct GeluAndSlope { value: vec4f, slope: vec4f }

fn gelu_and_slope_(v: vec4f) -> GeluAndSlope {
  let e = exp_(-0.5 * v * v);
  let tail = normal_tail(v, e);
  let cdf = select(1.0 - tail, tail, v < vec4f(0));
  return GeluAndSlope(v * cdf, fma(0.3989422804014327 * v, e, cdf));
}

// √(2/π)(v + 0.044715v³); |v| is cut where the result has long saturated, so that v³ stays finite.
fn gelu_tanh_inner(v: vec4f) -> vec4f {
  let w = clamp(v, vec4f(-64), vec4f(64));
  return 0.7978845608028654 * (w + 0.044715 * w * w * w);
}

// base^e for any base: a negative base takes an integer exponent, else the result is NaN as in IEEE 754.
fn pow_(base: vec4f, e: vec4f) -> vec4f {
  let magnitude = select(exp_(e * log_(abs(base))), vec4f(1), e == vec4f(0));
  let odd = abs(e - 2.0 * floor(0.5 * e)) == vec4f(1);
  let integer = floor(e) == e;
  let signed = select(magnitude, -magnitude, (base < vec4f(0)) & odd);
  return select(sqrt(base), signed, (base >= vec4f(0)) | integer);
}
