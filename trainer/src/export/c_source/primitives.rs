//! The functions that layers are made of, in C. Of a model's file only those are part that it uses.

use super::fill;
use kinglet::num::{SEGMENTS_256, SEGMENTS_512, Tables};
use std::fmt::Write;

/// A function and its text.
struct Function {
    name: &'static str,
    text: &'static str,
}

/// A function may use those before it.
const FUNCTIONS: &[Function] = &[
    Function {
        name: "mulhi",
        text: "
/* (a b + 2^31) / 2^32, rounded down: the rounded high half of a product. */
static int32_t mulhi(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 31)) >> 32);
}
",
    },
    Function {
        name: "shift_round",
        text: "
/* x / 2^shift, rounded half up. */
static int32_t shift_round(int32_t x, int shift)
{
    return (x + (INT32_C(1) << (shift - 1))) >> shift;
}
",
    },
    Function {
        name: "clamp",
        text: "
static int32_t clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}
",
    },
    Function {
        name: "saturate16",
        text: "
static int16_t saturate16(int32_t x)
{
    return (int16_t)clamp(x, INT16_MIN, INT16_MAX);
}
",
    },
    Function {
        name: "clamp_cell",
        text: "
/* From -2^30 to 2^30 - 1. */
static int32_t clamp_cell(int32_t x)
{
    return clamp(x, -(INT32_C(1) << 30), (INT32_C(1) << 30) - 1);
}
",
    },
    Function {
        name: "narrow",
        text: "
/* An output (2^-12) as an input of eight bits (2^-7). */
static int8_t narrow(int16_t y)
{
    return (int8_t)clamp(shift_round(y, 5), INT8_MIN, INT8_MAX);
}
",
    },
    Function {
        name: "requant",
        text: "
/* A sum as a pre-activation, by the multiplier of its row. */
static int16_t requant(uint32_t sum, int shift, int32_t m)
{
    return saturate16(mulhi((int32_t)(sum << shift), m));
}
",
    },
    Function {
        name: "add_8_8",
        text: "
/* sum + w x, modulo 2^32. */
static uint32_t add_8_8(uint32_t sum, const int8_t *w, const int8_t *x, int n)
{
    for (int k = 0; k < n; k++) {
        sum += (uint32_t)((int32_t)w[k] * x[k]);
    }
    return sum;
}
",
    },
    Function {
        name: "add_8_16",
        text: "
/* sum + w x, modulo 2^32. */
static uint32_t add_8_16(uint32_t sum, const int8_t *w, const int16_t *x, int n)
{
    for (int k = 0; k < n; k++) {
        sum += (uint32_t)((int32_t)w[k] * x[k]);
    }
    return sum;
}
",
    },
    Function {
        name: "add_4_8",
        text: "
/* sum + w x, modulo 2^32. A byte has two weights, each plus 8, the first one in the lower half. */
static uint32_t add_4_8(uint32_t sum, const uint8_t *w, const int8_t *x, int n)
{
    int k = 0;
    for (; k + 1 < n; k += 2) {
        const int32_t low = (*w & 15) - 8;
        const int32_t high = (*w++ >> 4) - 8;
        sum += (uint32_t)(low * x[k]) + (uint32_t)(high * x[k + 1]);
    }
    if (k < n) {
        const int32_t low = (*w & 15) - 8;
        sum += (uint32_t)(low * x[k]);
    }
    return sum;
}
",
    },
    Function {
        name: "add_4_16",
        text: "
/* sum + w x, modulo 2^32. A byte has two weights, each plus 8, the first one in the lower half. */
static uint32_t add_4_16(uint32_t sum, const uint8_t *w, const int16_t *x, int n)
{
    int k = 0;
    for (; k + 1 < n; k += 2) {
        const int32_t low = (*w & 15) - 8;
        const int32_t high = (*w++ >> 4) - 8;
        sum += (uint32_t)(low * x[k]) + (uint32_t)(high * x[k + 1]);
    }
    if (k < n) {
        const int32_t low = (*w & 15) - 8;
        sum += (uint32_t)(low * x[k]);
    }
    return sum;
}
",
    },
    Function {
        name: "look_up",
        text: "
/* A segment of tanh or the logistic function: where it starts, and how far it rises, in units of 2^-15. */
typedef struct {
    uint16_t start, rise;
} segment;

/* The function of z (2^-12) in Q31, between the ends of a segment of 2^width. The table is that of z >= 0; the other half is
 * its image, from a start of `mirror` downwards. */
static int32_t look_up(const segment *table, int width, int32_t mirror, int16_t z)
{
    const segment at = table[(z < 0 ? ~z : z) >> width];
    const int32_t from = at.start;
    const int32_t to = from + at.rise;
    const int32_t left = z < 0 ? mirror - to : from > INT16_MAX ? INT16_MAX : from;
    const int32_t right = z < 0 ? mirror - from : to > INT16_MAX ? INT16_MAX : to;
    const uint32_t rise = (uint32_t)(right - left);
    const uint32_t fraction = (uint32_t)z & ((UINT32_C(1) << width) - 1);
    return (int32_t)(((uint32_t)left << 16 | rise) + (rise * fraction << (16 - width)));
}
",
    },
    Function {
        name: "tanh_256",
        text: "
$tanh_256
static int32_t tanh_256(int16_t z)
{
    return look_up(tanh_256_segments, 8, 0, z);
}
",
    },
    Function {
        name: "sigmoid_256",
        text: "
$sigmoid_256
static int32_t sigmoid_256(int16_t z)
{
    return look_up(sigmoid_256_segments, 8, 32768, z);
}
",
    },
    Function {
        name: "tanh_512",
        text: "
$tanh_512
static int32_t tanh_512(int16_t z)
{
    return look_up(tanh_512_segments, 7, 0, z);
}
",
    },
    Function {
        name: "sigmoid_512",
        text: "
$sigmoid_512
static int32_t sigmoid_512(int16_t z)
{
    return look_up(sigmoid_512_segments, 7, 32768, z);
}
",
    },
    Function {
        name: "blend",
        text: "
/* n + z (h - n): z and n in Q31, h in Q29. */
static int32_t blend(int32_t h, int32_t z, int32_t n)
{
    n >>= 2;
    return n + 2 * mulhi(z, h - n);
}
",
    },
    Function {
        name: "twice",
        text: "
/* A pre-activation of 2^-11 as one of 2^-12. */
static int16_t twice(int16_t z)
{
    return saturate16((int32_t)z * 2);
}
",
    },
    Function {
        name: "slow_sigmoid",
        text: "
$tail
/* The logistic function of z (2^-11) in Q31, accurate relative to its distance from 0 and 1. */
static int32_t slow_sigmoid(int16_t z)
{
    const int32_t magnitude = z < 0 ? ~z : z;
    const int32_t left = tail[magnitude >> 7];
    const uint32_t fall = (uint32_t)(left - tail[(magnitude >> 7) + 1]);
    const int32_t small = left - (int32_t)(fall * (uint32_t)(magnitude & 127) >> 7);
    return z < 0 ? small : INT32_MAX - (small - 1);
}
",
    },
    Function {
        name: "hard_gate",
        text: "
/* z / 4 + 1 / 2 of z (2^-12), held within 0 and 1, in Q31. */
static int32_t hard_gate(int16_t z)
{
    const int32_t gate = clamp((int32_t)z + 8192, 0, 16384);
    return gate == 16384 ? INT32_MAX : gate * (INT32_C(1) << 17);
}
",
    },
    Function {
        name: "rest_of",
        text: "
/* 1 - gate */
static int32_t rest_of(int32_t gate)
{
    return INT32_MAX - (gate - 1);
}
",
    },
    Function {
        name: "accumulate",
        text: "
/* f c + i g, rounded once: gates in Q31. */
static int32_t accumulate(int32_t c, int32_t f, int32_t i, int32_t g, int shift)
{
    const int64_t kept = (int64_t)f * c;
    const int64_t added = ((int64_t)i * g) >> shift;
    return clamp_cell((int32_t)((kept + added + (INT64_C(1) << 30)) >> 31));
}
",
    },
    Function {
        name: "approach",
        text: "
/* h + share (n - h), rounded once: share and n in Q31, h in Q29. */
static int32_t approach(int32_t h, int32_t share, int32_t n)
{
    const int64_t way = (int64_t)share * ((int64_t)(n >> 2) - h);
    return h + (int32_t)((way + (INT64_C(1) << 30)) >> 31);
}
",
    },
    Function {
        name: "exp_q16",
        text: "
/* 2^16 e^-d, d >= 0 with `frac` fraction bits: 2^-(d log2 e), whose whole part shifts; the rest goes through a cubic. */
static uint32_t exp_q16(int32_t d, int frac)
{
    const int64_t log2_e = 1549082005;
    const int64_t exact = ((int64_t)d * log2_e) >> (14 + frac);
    const int64_t most = INT64_C(31) << 16;
    const int64_t exponent = exact > most ? most : exact;
    const int64_t f = exponent & 0xffff;
    const int64_t cubic = 65536 - ((f * (45455 - ((f * (15540 - ((f * 2865) >> 16))) >> 16))) >> 16);
    return (uint32_t)cubic >> (exponent >> 16);
}
",
    },
    Function {
        name: "elu_q",
        text: "
/* z from 0 on, below it e^z - 1, both multiples of 2^-12. */
static int16_t elu_q(int16_t z)
{
    return z > 0 ? z : (int16_t)(shift_round((int32_t)exp_q16(-z, 12), 4) - 4096);
}
",
    },
    Function {
        name: "softmax_q15",
        text: "
/* e^z / sum of e^z, in Q15. */
static void softmax_q15(int16_t *z, int n, int frac)
{
    int32_t max = INT16_MIN;
    uint32_t sum = 0;
    for (int i = 0; i < n; i++) {
        max = z[i] > max ? z[i] : max;
    }
    for (int i = 0; i < n; i++) {
        sum += exp_q16(max - z[i], frac);
    }
    const uint64_t reciprocal = (UINT64_C(1) << 47) / sum;
    for (int i = 0; i < n; i++) {
        z[i] = saturate16((int32_t)((exp_q16(max - z[i], frac) * reciprocal) >> 32));
    }
}
",
    },
    Function {
        name: "magnitude_q",
        text: "
/* The root of a a + b b, to the nearest and at most 32767: a bit of it at a time. */
static int16_t magnitude_q(int16_t a, int16_t b)
{
    uint32_t rest = (uint32_t)((int32_t)a * a) + (uint32_t)((int32_t)b * b);
    uint32_t root = 0;
    for (uint32_t bit = UINT32_C(1) << 30; bit != 0; bit >>= 2) {
        const uint32_t next = root + bit;
        root >>= 1;
        if (rest >= next) {
            rest -= next;
            root += bit;
        }
    }
    /* What is left is above the root where half of the next number is exceeded. */
    root += rest > root;
    return (int16_t)(root < INT16_MAX ? root : INT16_MAX);
}
",
    },
    Function {
        name: "inverse_root_of",
        text: "
/* 1 / sqrt(w): bits to shift a number by, to the left, then to the right, and a factor at 2^-29. */
typedef struct {
    int left;
    int right;
    int32_t mantissa;
} inverse_root;

/* Of a number from 1 to 2^56: by Newton's iteration, y (3 - w y y) / 2. */
static void inverse_root_of(inverse_root *root, uint64_t w)
{
    int half = 0;
    for (int shift = 32; shift > 1; shift /= 2) {
        if (w >> (64 - shift) == 0) {
            w <<= shift;
            half += shift / 2;
        }
    }
    const uint32_t part = (uint32_t)(w >> 32);
    uint32_t y = UINT32_C(2362232012) - (part / 4 + part / 16);
    for (int turn = 0; turn < 4; turn++) {
        const uint32_t square = (uint32_t)(((uint64_t)y * y) >> 32);
        const uint32_t one = (uint32_t)(((uint64_t)square * part) >> 32);
        y = (uint32_t)(((uint64_t)y * ((UINT32_C(3) << 28) - one)) >> 29);
    }
    root->left = half > 7 ? half - 7 : 0;
    root->right = half < 7 ? 7 - half : 0;
    root->mantissa = (int32_t)(y >> 1);
}
",
    },
    Function {
        name: "bits_of",
        text: "
static uint32_t bits_of(float x)
{
    union {
        float number;
        uint32_t bits;
    } both;
    both.number = x;
    return both.bits;
}
",
    },
    Function {
        name: "bits_at",
        text: "
/* The bits of a number in memory, of which no flag lets a compiler take for granted that it is one. */
static uint32_t bits_at(const volatile float *x)
{
    return bits_of(*x);
}
",
    },
    Function {
        name: "is_nan",
        text: "
static int is_nan(const float *x)
{
    return (bits_at(x) & UINT32_C(0x7fffffff)) > UINT32_C(0x7f800000);
}
",
    },
    Function {
        name: "is_finite",
        text: "
static int is_finite(const float *x)
{
    return (bits_at(x) & UINT32_C(0x7f800000)) != UINT32_C(0x7f800000);
}
",
    },
    Function {
        name: "from_bits",
        text: "
static float from_bits(uint32_t bits)
{
    union {
        float number;
        uint32_t bits;
    } both;
    both.bits = bits;
    return both.number;
}
",
    },
    Function {
        name: "root_f32",
        text: "
/* The square root, to the nearest float: a bit of it at a time. Of no negative number. */
static float root_f32(float x)
{
    int32_t exponent = (int32_t)(bits_of(x) >> 23);
    uint32_t rest = bits_of(x) & UINT32_C(0x7fffff);
    uint32_t root = 0;
    uint32_t sum = 0;
    if (exponent >= 255 || x == 0.0f) {
        return x; /* infinite, no number, or zero */
    }
    if (exponent == 0) {
        exponent = 1;
        while (rest < UINT32_C(0x800000)) {
            rest <<= 1;
            exponent--;
        }
    }
    rest |= UINT32_C(0x800000);
    exponent -= 127;
    rest <<= (exponent & 1) + 1;
    exponent = (exponent - (exponent & 1)) / 2;
    for (uint32_t bit = UINT32_C(1) << 24; bit != 0; bit >>= 1) {
        const uint32_t next = sum + bit;
        if (next <= rest) {
            sum = next + bit;
            rest -= next;
            root += bit;
        }
        rest <<= 1;
    }
    /* The last bit is half of a float's; a root never lies right between two of them. */
    root += root & 1;
    return from_bits((root >> 1) + ((uint32_t)(exponent + 126) << 23));
}
",
    },
    Function {
        name: "widen",
        text: "
/* A float of 16 bits as one of 32. */
static float widen(uint16_t half)
{
    const uint32_t magnitude = half & UINT32_C(0x7fff);
    const uint32_t exponent = magnitude < 0x7c00 ? 112 : 224;
    /* Below 2^-14 a number is a multiple of 2^-24: below a one half, then without it. */
    const float value = magnitude < 0x400 ? from_bits(magnitude | UINT32_C(0x3f000000)) - 0.5f
                                          : from_bits((magnitude << 13) + (exponent << 23));
    return half & 0x8000 ? -value : value;
}
",
    },
    Function {
        name: "add_f32",
        text: "
/* sum + w x, one product after the other. */
static float add_f32(float sum, const float *w, const float *x, int n)
{
    for (int k = 0; k < n; k++) {
        sum += w[k] * x[k];
    }
    return sum;
}
",
    },
    Function {
        name: "add_f16",
        text: "
/* sum + w x, one product after the other. */
static float add_f16(float sum, const uint16_t *w, const float *x, int n)
{
    for (int k = 0; k < n; k++) {
        sum += widen(w[k]) * x[k];
    }
    return sum;
}
",
    },
    Function {
        name: "tanh_f32",
        text: "
/* tanh by a rational function, odd over even powers. */
static float tanh_f32(float x)
{
    x = x < -7.905311f ? -7.905311f : x > 7.905311f ? 7.905311f : x;
    const float s = x * x;
    const float p =
        (((((-2.7607685e-16f * s + 2.000188e-13f) * s + -8.604672e-11f) * s + 5.1222971e-8f) * s +
          1.4857224e-5f) * s + 6.3726193e-4f) * s + 4.8935246e-3f;
    const float q = ((1.1982584e-6f * s + 1.1853471e-4f) * s + 2.2684346e-3f) * s + 4.893525e-3f;
    return x * p / q;
}
",
    },
    Function {
        name: "sigmoid_f32",
        text: "
static float sigmoid_f32(float x)
{
    return 0.5f * tanh_f32(0.5f * x) + 0.5f;
}
",
    },
    Function {
        name: "hard_f32",
        text: "
/* z / 4 + 1 / 2, held within 0 and 1. */
static float hard_f32(float z)
{
    z = z * 0.25f + 0.5f;
    return z < 0.0f ? 0.0f : z > 1.0f ? 1.0f : z;
}
",
    },
    Function {
        name: "exponential",
        text: "
/* e^x, as FreeBSD's e_expf.c has it:
 * Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved.
 * Developed at SunPro, a Sun Microsystems, Inc. business. Permission to use, copy, modify, and distribute this software is
 * freely granted, provided that this notice is preserved. */
static float exponential(float x)
{
    const uint32_t magnitude = bits_of(x) & UINT32_C(0x7fffffff);
    const int32_t sign = x < 0.0f;
    int32_t k = 0;
    float hi = x;
    float lo = 0.0f;
    if (magnitude >= UINT32_C(0x42aeac50)) {
        if (magnitude > UINT32_C(0x7f800000)) {
            return x;
        }
        if (magnitude >= UINT32_C(0x42b17218) && !sign) {
            return x * 1.7014118346046923e38f;
        }
        if (sign && magnitude >= UINT32_C(0x42cff1b5)) {
            return 0.0f;
        }
    }
    if (magnitude > UINT32_C(0x3eb17218)) {
        if (magnitude > UINT32_C(0x3f851592)) {
            k = (int32_t)(1.4426950216e+00f * x + (sign ? -0.5f : 0.5f));
        } else {
            k = 1 - 2 * sign;
        }
        hi = x - (float)k * 6.9314575195e-01f;
        lo = (float)k * 1.4286067653e-06f;
        x = hi - lo;
    } else if (magnitude <= UINT32_C(0x39000000)) {
        return 1.0f + x;
    }
    const float xx = x * x;
    const float c = x - xx * (1.6666625440e-1f + xx * -2.7667332906e-3f);
    float y = 1.0f + (x * c / (2.0f - c) - lo + hi);
    if (k > 127) {
        y *= 1.7014118346046923e38f;
        k -= 127;
    } else if (k < -126) {
        y *= 1.9721522630525295e-31f;
        k += 102;
    }
    return k == 0 ? y : y * from_bits((uint32_t)(127 + k) << 23);
}
",
    },
    Function {
        name: "logarithm",
        text: "
/* ln x, as FreeBSD's e_logf.c has it:
 * Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved.
 * Developed at SunPro, a Sun Microsystems, Inc. business. Permission to use, copy, modify, and distribute this software is
 * freely granted, provided that this notice is preserved. */
static float logarithm(float x)
{
    uint32_t bits = bits_of(x);
    int32_t k = 0;
    if (bits < UINT32_C(0x00800000) || bits >> 31) {
        if (bits << 1 == 0) {
            return from_bits(UINT32_C(0xff800000)); /* -infinity */
        }
        if (bits >> 31) {
            return from_bits(UINT32_C(0x7fc00000)); /* not a number */
        }
        k = -25;
        bits = bits_of(x * 33554432.0f);
    } else if (bits >= UINT32_C(0x7f800000)) {
        return x;
    } else if (bits == UINT32_C(0x3f800000)) {
        return 0.0f;
    }
    bits += UINT32_C(0x3f800000) - UINT32_C(0x3f3504f3);
    k += (int32_t)(bits >> 23) - 0x7f;
    const float f = from_bits((bits & UINT32_C(0x007fffff)) + UINT32_C(0x3f3504f3)) - 1.0f;
    const float s = f / (2.0f + f);
    const float z = s * s;
    const float w = z * z;
    const float t1 = w * (0.40000972152f + w * 0.24279078841f);
    const float t2 = z * (0.66666662693f + w * 0.28498786688f);
    const float r = t2 + t1;
    const float half = 0.5f * f * f;
    const float dk = (float)k;
    return s * (half + r) + dk * 9.0580006145e-06f - half + f + dk * 6.9313812256e-01f;
}
",
    },
    Function {
        name: "softmax_f32",
        text: "
/* e^z / sum of e^z */
static void softmax_f32(float *z, int n)
{
    float max = z[0];
    float sum = 0.0f;
    for (int i = 0; i < n; i++) {
        max = z[i] > max ? z[i] : max;
    }
    for (int i = 0; i < n; i++) {
        z[i] = exponential(z[i] - max);
        sum += z[i];
    }
    for (int i = 0; i < n; i++) {
        z[i] /= sum;
    }
}
",
    },
    Function {
        name: "quantize",
        text: "
/* x with `frac` fraction bits, rounded half up and clamped. */
static int16_t quantize(float x, float one, int16_t low, int16_t high)
{
    const float scaled = x * one + 0.5f;
    if (scaled >= high) {
        return high;
    }
    if (!(scaled >= low)) {
        return low;
    }
    const int32_t truncated = (int32_t)scaled;
    return (int16_t)(truncated - ((float)truncated > scaled));
}
",
    },
    Function {
        name: "crc_add",
        text: "
/* CRC-32 (IEEE) with some bytes more, least first. */
static uint32_t crc_add(uint32_t crc, uint32_t value, int bytes)
{
    for (int bit = 0; bit < 8 * bytes; bit++) {
        const uint32_t differs = (crc ^ value) & 1;
        crc = crc >> 1 ^ (differs ? UINT32_C(0xedb88320) : 0);
        value >>= 1;
    }
    return crc;
}
",
    },
];

/// The functions that a text calls, and those that they call.
pub(super) fn used_by(text: &str) -> String {
    written(&called_by(text))
}

/// Those of them that are not among the functions of another text.
pub(super) fn used_only_by(text: &str, other: &str) -> String {
    let others = called_by(other);
    let mut used = called_by(text);
    used.retain(|function| others.iter().all(|other| other.name != function.name));
    written(&used)
}

fn called_by(text: &str) -> Vec<&'static Function> {
    let mut used = Vec::new();
    let mut calls = text.to_owned();
    for function in FUNCTIONS.iter().rev() {
        if calls_by_name(&calls, function.name) {
            calls.push_str(function.text);
            used.push(function);
        }
    }
    used.reverse();
    used
}

fn written(used: &[&Function]) -> String {
    let texts: String = used.iter().map(|function| function.text).collect();
    let has = |name: &str| used.iter().any(|function| function.name == name);
    let mut keys = Vec::new();
    for (tables, bits) in [(&SEGMENTS_256, "256"), (&SEGMENTS_512, "512")] {
        for (function, mirror) in [("tanh", 0), ("sigmoid", 32768)] {
            let name = format!("{function}_{bits}");
            if has(&name) {
                keys.push((name.clone(), segments(&name, tables, mirror)));
            }
        }
    }
    if has("slow_sigmoid") {
        keys.push(("tail".to_owned(), tail()));
    }
    let keys: Vec<(&str, String)> = keys.iter().map(|(k, v)| (&**k, v.clone())).collect();
    fill(&texts, &keys)
}

fn calls_by_name(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
            && text[at + name.len()..].starts_with('(')
    })
}

/// The half of a table for z ≥ 0: starts and rises before they are capped below 1. The other half is its image, from which
/// they are found: at its left end a segment's value is in the upper half of a word, and its rise in the lower one.
fn half(look_up: impl Fn(i16) -> i32, segments: usize, mirror: i32) -> Vec<(i32, i32)> {
    let width = (1 << 15) / segments as i32;
    let image = |k| look_up(((k + 1) * -width) as i16);
    let segment = |image: i32| (mirror - (image >> 16) - (image & 0xffff), image & 0xffff);
    (0..segments as i32).map(|k| segment(image(k))).collect()
}

fn segments(name: &str, tables: &Tables, mirror: i32) -> String {
    let count = 1 << (tables.bits() - 1);
    let segments = match mirror {
        0 => half(|z| tables.tanh(z), count, mirror),
        _ => half(|z| tables.sigmoid(z), count, mirror),
    };
    let mut text = format!(
        "/* Segments of a {}th: {} bytes. */\nstatic const segment {name}_segments[{}] = {{",
        if segments.len() == 128 { 16 } else { 32 },
        4 * segments.len(),
        segments.len()
    );
    for line in segments.chunks(8) {
        text.push_str("\n   ");
        for (start, rise) in line {
            let _ = write!(text, " {{{start}, {rise}}},");
        }
    }
    text.push_str("\n};");
    text
}

/// `σ(−k / 16)` in Q31 for slow gates, as the engine's `num/slow.rs` has it.
fn tail() -> String {
    let mut text = String::from(
        "/* The logistic function of -k / 16, in Q31: 1028 bytes. */\nstatic const int32_t tail[257] = {",
    );
    for (k, entry) in kinglet::num::slow_tail().iter().enumerate() {
        text.push_str(if k % 8 == 0 { "\n    " } else { " " });
        let _ = write!(text, "{entry},");
    }
    text.push_str("\n};");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `look_up` of the generated code.
    fn look_up(table: &[(i32, i32)], width: u32, mirror: i32, z: i16) -> i32 {
        let (from, rise) = table[(if z < 0 { !z } else { z } >> width) as usize];
        let to = from + rise;
        let capped = |x: i32| x.min(i16::MAX.into());
        let [left, right] = match z {
            ..0 => [mirror - to, mirror - from],
            _ => [capped(from), capped(to)],
        };
        let rise = right - left;
        let fraction = i32::from(z) & ((1 << width) - 1);
        (left << 16 | rise).wrapping_add((rise * fraction) << (16 - width))
    }

    #[test]
    fn half_a_table_gives_all_values_of_the_whole() {
        for tables in [&SEGMENTS_256, &SEGMENTS_512] {
            let (count, width) = (1 << (tables.bits() - 1), 16 - tables.bits());
            let tanh = half(|z| tables.tanh(z), count, 0);
            let sigmoid = half(|z| tables.sigmoid(z), count, 32768);
            for z in i16::MIN..=i16::MAX {
                assert_eq!(look_up(&tanh, width, 0, z), tables.tanh(z), "tanh {z}");
                let found = look_up(&sigmoid, width, 32768, z);
                assert_eq!(found, tables.sigmoid(z), "sigmoid {z}");
            }
        }
    }
}
