// Elements of B as they are stored: f32; with HALF_B pairs of f16, the first in the low bits; with INT8_B whole numbers in 8 bits
// as in int8.wgsl, four in a word, whose row's scale is applied to sums (SCALE_C) or to A (SCALE_A).
//@if INT8_B
alias OneB = u32;
alias FourB = u32;
const PER_B = 4u;
fn one(stored: u32, i: u32) -> f32 { return f32(i32(stored << (24u - 8u * (i % 4u))) >> 24u); }
fn four(stored: u32) -> vec4f { return vec4f((vec4i(vec4u(stored)) << vec4u(24, 16, 8, 0)) >> vec4u(24)); }
//@else
//@if HALF_B
alias OneB = u32;
alias FourB = vec2u;
const PER_B = 2u;
fn one(stored: u32, i: u32) -> f32 { return unpack2x16float(stored)[i % 2u]; }
fn four(stored: vec2u) -> vec4f { return vec4f(unpack2x16float(stored.x), unpack2x16float(stored.y)); }
//@else
alias OneB = f32;
alias FourB = vec4f;
const PER_B = 1u;
fn one(stored: f32, i: u32) -> f32 { return stored; }
fn four(stored: vec4f) -> vec4f { return stored; }
//@end
//@end
