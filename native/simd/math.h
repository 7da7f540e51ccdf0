// Elementary functions on vectors, with the same bits on every instruction set.
//
// Each is a range reduction, a polynomial and a reconstruction, written with explicit fused multiply-adds. The
// coefficients are our own minimax fits, rounded to float one at a time with a refit of the rest. The bounds below
// are in units in the last place (ulp) of the result and hold for every float; native/tests/ulp.cc checks them:
//   exp, log, erf 1.5    tanh, sigmoid 3
// NaN gives NaN, infinities give the limit, denormal results are rounded like others, odd functions keep -0.
#pragma once
#include "simd.h"

namespace thalweg {
namespace THALWEG_ISA {

// c0 + x (c1 + x (c2 + …))
THALWEG_INLINE Float polynomial(Float, float c0) { return splat(c0); }
template <typename... Rest> THALWEG_INLINE Float polynomial(Float x, float c0, float c1, Rest... rest) {
  return fma(x, polynomial(x, c1, rest...), splat(c0));
}

// ln 2 as the sum of two floats.
constexpr float kLn2High = 0.693147182f, kLn2Low = -1.90465421e-9f;

// e^x = 2^n (1 + tail), with n the integer nearest to x / ln 2; abs(x) < 2^21.
// A NaN gives some n and a NaN tail, so a result must be *multiplied* by 2^n: adding n to the exponent bits would
// turn some NaNs into numbers.
struct ExpParts {
  Int n;
  Float tail;
};

THALWEG_INLINE ExpParts expParts(Float x) {
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  Float shifted = fma(x, splat(1.44269502f), splat(12582912.0f));
  Float k = shifted - splat(12582912.0f);
  Float r = fnma(k, splat(kLn2Low), fnma(k, splat(kLn2High), x));
  Float q = polynomial(r, 0.49999994f, 0.166665211f, 0.0416682586f, 0.00836866908f, 0.00138213043f);
  return {bits(shifted) - bits(splat(12582912.0f)), fma(r * r, q, r)};
}

// e^x for -87.6 < x < 88.3, and 0 for x in -88 … -87.7: n stays within the exponents a float can have.
THALWEG_INLINE Float expInRange(Float x) {
  ExpParts e = expParts(x);
  return (splat(1.0f) + e.tail) * powerOfTwo(e.n);
}

// e^x for x <= 0, cheaper than exp: results below about 8e-39 become 0.
THALWEG_INLINE Float expNonPositive(Float x) { return expInRange(atLeast(x, splat(-88.0f))); }

// e^x. The power of two is applied in two halves, so that denormal results are rounded once and overflow is infinity.
THALWEG_INLINE Float exp(Float x) {
  ExpParts e = expParts(atMost(atLeast(x, splat(-104.0f)), splat(89.0f)));
  Int half = shiftRightArithmetic<1>(e.n);
  return (splat(1.0f) + e.tail) * powerOfTwo(half) * powerOfTwo(e.n - half);
}

// k ln 2 + ln(1 + f) for sqrt(1/2) - 1 <= f <= sqrt(2) - 1 and integers k: f - f^2/2 + f^3 p(f), small terms first.
THALWEG_INLINE Float logParts(Float k, Float f) {
  Float p = polynomial(f, 0.333333313f, -0.250008196f, 0.200012416f, -0.166234091f, 0.142015815f, -0.131596133f,
                       0.127621993f, -0.0763639957f);
  Float small = fma(f * f, fma(f, p, splat(-0.5f)), k * splat(kLn2Low));
  return fma(k, splat(kLn2High), f + small);
}

// ln x: x = 2^k (1 + f) with 1 + f in sqrt(1/2) … sqrt(2).
THALWEG_INLINE Float log(Float x) {
  // Denormals are scaled into the normal range first.
  Mask tiny = less(x, splat(1.17549435e-38f));
  Int pattern = bits(select(tiny, x * splat(16777216.0f), x));
  Int rootOfHalf = bits(splat(0.707106769f));
  Int offset = pattern - rootOfHalf;
  Float k = toFloat(shiftRightArithmetic<23>(offset)) - select(tiny, splat(24.0f), splat(0.0f));
  Float f = fromBits((offset & splatInt(0x7fffff)) + rootOfHalf) - splat(1.0f);
  Float y = logParts(k, f);
  Float infinity = splat(INFINITY);
  y = select(equal(x, infinity), infinity, y);
  return select(greater(x, splat(0.0f)), y, select(equal(x, splat(0.0f)), negate(infinity), splat(NAN)));
}

// tanh x = e / (e + 2) with e = e^2x - 1, which keeps its relative accuracy near 0. From abs(x) = 10 on it is 1.
THALWEG_INLINE Float tanh(Float x) {
  Float a = atMost(absolute(x), splat(10.0f));
  ExpParts parts = expParts(a + a);
  Float scale = powerOfTwo(parts.n);
  Float e = fma(scale, parts.tail, scale - splat(1.0f));
  return copySign(e / (e + splat(2.0f)), x);
}

// erf x: x + x p(x^2) near 0, 1 - e^-q(x) further out, 1 from 4 on.
THALWEG_INLINE Float erf(Float x) {
  Float a = atMost(absolute(x), splat(4.0f));
  Float p = polynomial(a * a, 0.128379166f, -0.376126289f, 0.112836257f, -0.0268557277f, 0.00519237714f,
                       -0.000804917421f, 7.99279587e-5f);
  Float q = polynomial(a, 0.000198553389f, 1.12766373f, 0.637202263f, 0.103914067f, -0.0222185012f, 0.00304111629f,
                       -0.00019572438f);
  Float inner = fma(a, p, a);
  Float outer = splat(1.0f) - expInRange(negate(q));
  return copySign(select(less(a, splat(0.921875f)), inner, outer), x);
}

// 1 / (1 + e^-x), with the exponential of a number that is not positive, so that both tails are right.
THALWEG_INLINE Float sigmoid(Float x) {
  Float e = exp(negate(absolute(x)));
  return select(less(x, splat(0.0f)), e, splat(1.0f)) / (splat(1.0f) + e);
}

// ln(1 + e^x) = max(x, 0) + ln(1 + e), e = e^-abs(x). The logarithm never sees the rounded sum 1 + e, so the negative
// tail, where the result is about e, keeps its relative accuracy.
THALWEG_INLINE Float softplus(Float x) {
  Float e = exp(negate(absolute(x)));
  Mask large = greater(e, splat(0.414213568f));  // 1 + e = 2 (1 + f) with f = (e - 1) / 2
  Float f = select(large, fma(e, splat(0.5f), splat(-0.5f)), e);
  Float k = select(large, splat(1.0f), splat(0.0f));
  return select(greater(x, splat(0.0f)), x, splat(0.0f)) + logParts(k, f);
}

// x/2 (1 + erf(x / sqrt(2))). Accurate to 1.2e-7 max(1, abs(x)); below -5.6 it is -0.
THALWEG_INLINE Float gelu(Float x) {
  Float both = splat(1.0f) + erf(x * splat(0.707106769f));
  // Far out the second factor is 0, and the first must not be infinite.
  return atLeast(x, splat(-16.0f)) * splat(0.5f) * both;
}

// x/2 (1 + tanh u) with u = sqrt(2/pi) (x + 0.044715 x^3), written as x / (1 + e^-2u): one exponential and a good tail.
THALWEG_INLINE Float geluTanh(Float x) {
  x = atLeast(x, splat(-16.0f));  // there the exponential is infinite already, and x must not be
  Float minusTwoU = x * fma(x * x, splat(-0.0713548139f), splat(-1.59576917f));
  return x / (splat(1.0f) + exp(minusTwoU));
}

// x^y in double for finite x > 0 and finite y, good to about 1e-13, so that one rounding to float remains.
// Plain + - * / of doubles, in an order the compiler may not change; it may do several at once.
THALWEG_INLINE double powerPositive(double x, double y) {
  // x = 2^k m with m in sqrt(1/2) … sqrt(2). A denormal float is a normal double.
  const uint64_t rootOfHalf = 0x3fe6a09e667f3bcd, mantissa = 0x000fffffffffffff, twoTo52 = 0x4330000000000000;
  uint64_t pattern, offset;
  memcpy(&pattern, &x, 8);
  offset = pattern - rootOfHalf + (uint64_t(1024) << 52);
  uint64_t kPattern = (offset >> 52) | twoTo52, mPattern = (offset & mantissa) + rootOfHalf;
  double k, m;
  memcpy(&k, &kPattern, 8);
  memcpy(&m, &mPattern, 8);
  k -= 4503599627370496.0 + 1024.0;
  // log2 m = 2 / ln 2 artanh s = 2 / ln 2 (s + s^3 / 3 + s^5 / 5 + …), abs(s) < 0.172
  double s = (m - 1.0) / (m + 1.0), s2 = s * s;
  double series = 1.0 / 19.0;
  series = series * s2 + 1.0 / 17.0;
  series = series * s2 + 1.0 / 15.0;
  series = series * s2 + 1.0 / 13.0;
  series = series * s2 + 1.0 / 11.0;
  series = series * s2 + 1.0 / 9.0;
  series = series * s2 + 1.0 / 7.0;
  series = series * s2 + 1.0 / 5.0;
  series = series * s2 + 1.0 / 3.0;
  double t = y * (k + 2.8853900817779268 * (s + s * s2 * series));
  // Beyond 200 the result is 0 or infinite as a float anyway.
  double size = fabs(t);
  t = copysign(size > 200.0 ? 200.0 : size, t);
  // 2^t = 2^n e^z with n the nearest integer, which the addition leaves in the low bits; abs(z) < 0.347
  double shifted = t + 6755399441055744.0;
  double z = (t - (shifted - 6755399441055744.0)) * 0.69314718055994531;
  uint64_t scalePattern;
  memcpy(&scalePattern, &shifted, 8);
  scalePattern = (scalePattern + 1023) << 52;
  double scale;
  memcpy(&scale, &scalePattern, 8);
  double e = 1.0 / 39916800.0;
  e = e * z + 1.0 / 3628800.0;
  e = e * z + 1.0 / 362880.0;
  e = e * z + 1.0 / 40320.0;
  e = e * z + 1.0 / 5040.0;
  e = e * z + 1.0 / 720.0;
  e = e * z + 1.0 / 120.0;
  e = e * z + 1.0 / 24.0;
  e = e * z + 1.0 / 6.0;
  e = e * z + 0.5;
  e = e * z + 1.0;
  e = e * z + 1.0;
  return e * scale;
}

// x^y by the rules of IEEE 754 (C's pow): x^0 = 1^y = 1 even for NaN, (-1)^±infinity = 1. `magnitude` is what
// powerPositive gives for abs(x) and y; it is used where that means something.
THALWEG_INLINE float power(float x, float y, float magnitude) {
  float a = fabsf(x);
  bool finite = a < INFINITY && fabsf(y) < INFINITY;
  if (finite && x > 0.0f) return magnitude;
  if (y == 0.0f || x == 1.0f) return 1.0f;
  if (x != x || y != y) return x + y;
  if (fabsf(y) == INFINITY) return a == 1.0f ? 1.0f : (a > 1.0f) == (y > 0.0f) ? INFINITY : 0.0f;
  // From 2^24 on every float is an even integer.
  bool small = fabsf(y) < 16777216.0f;
  bool integer = !small || (float)(int32_t)y == y;
  bool odd = small && integer && ((int32_t)y & 1) != 0;
  if (a == 0.0f || a == INFINITY) magnitude = (a == 0.0f) == (y > 0.0f) ? 0.0f : INFINITY;
  else if (!integer) return NAN;
  return signbit(x) && odd ? -magnitude : magnitude;
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
