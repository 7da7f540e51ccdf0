// The vector types and operations that kernels are written in.
//
// A kernel source is compiled once per instruction set, inside `namespace thalweg::THALWEG_ISA`. This header
// picks the one implementation that belongs to the set being compiled, and adds what can be said in its terms.
// Every operation is either exact or correctly rounded by IEEE 754, so all sets compute the same bits. The only
// freedom left is the sign and payload of a NaN.
//
// NOTE: everything is `static`. A function with external linkage would be shared by all sets at link time, and an
// old CPU could be given the copy that was compiled for a new one. Do not include C++ standard headers here.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef THALWEG_ISA
#error "kernel sources need -DTHALWEG_ISA=<instruction set>"
#endif

#define THALWEG_INLINE static inline __attribute__((always_inline))

// Each header defines, for vectors of kWidth floats:
//   Float, Int (int32 lanes), Mask
//   load store loadPartial storePartial, loadInt storeInt loadIntPartial storeIntPartial
//     (any alignment; the partial forms touch the first n lanes, 0 <= n <= kWidth, and read the others as 0)
//   splat splatInt, operators + - * / on Float, operators + - & | ^ on Int
//   fma(a, b, c) = a * b + c and fnma(a, b, c) = c - a * b, each with a single rounding
//   squareRoot absolute negate copySign
//   reciprocalRootEstimate: 1 / sqrt(x) for 2^-80 <= x < infinity, with a relative error of at most 2^-14; where roots are iterated, 0 for 0
//   kIteratesRoots: whether iterateSquareRoot beside the instruction is faster than the instruction alone
//   atMost(x, limit), atLeast(x, limit): x clamped to a constant that is neither NaN nor 0; NaN stays NaN
//   less lessEqual greater greaterEqual equal notEqual isNan (IEEE: false for NaN, except notEqual and isNan)
//   lessInt (signed) equalInt, noCommonBit(a, b): whether a & b is 0; select selectInt, andMask orMask notMask, all (every lane)
//   bits fromBits (the same 32 bits), toFloat (int32 to the nearest float, ties to even)
//   shiftLeft<n> shiftRightLogical<n> shiftRightArithmetic<n>
//   multiplyLow multiplyHigh (the two halves of the unsigned 64-bit product)
//   lanesAbove<distance>: lane l is the argument's lane l + distance for l < distance; other lanes are unspecified
//   firstLane
//   transpose(rows): lane c of rows[r] changes places with lane r of rows[c], for kWidth vectors
#if defined(THALWEG_ISA_AVX512)
#include "avx512.h"
#elif defined(THALWEG_ISA_AVX2)
#include "avx2.h"
#elif defined(THALWEG_ISA_NEON)
#include "neon.h"
#elif defined(THALWEG_ISA_PORTABLE)
#include "portable.h"
#else
#error "define one of THALWEG_ISA_PORTABLE, THALWEG_ISA_AVX2, THALWEG_ISA_AVX512, THALWEG_ISA_NEON"
#endif

namespace thalweg {
namespace THALWEG_ISA {

// The larger and the smaller of two numbers, NaN when either is NaN. Of +0 and -0 the second operand is returned.
// NOTE: not the instructions of that name: x86 and NEON disagree about NaN.
THALWEG_INLINE Float maximum(Float a, Float b) { return select(orMask(greater(a, b), isNan(a)), a, b); }
THALWEG_INLINE Float minimum(Float a, Float b) { return select(orMask(less(a, b), isNan(a)), a, b); }

// squareRoot(x) for 0 and 2^-80 <= x < infinity, the same bits, from an estimate of 1 / sqrt(x) with a relative error of at most 2^-14: it needs
// only the units that multiply, while another root or a quotient keeps the one that divides. A step of Goldschmidt's iteration leaves a
// root g and h = 1 / (2 sqrt(x)), each with a relative error below 1.6 * 2^-24; then g + h (x - g g) misses a root between 1 and 2 by less
// than 2^-44 before it is rounded. How roots are rounded that lie closer than that to the middle of two floats does not follow from
// this: native/tests/ulp.cc tries each of them with every estimate. Markstein, "IA-64 and Elementary Functions", 2000, has the method.
THALWEG_INLINE Float iterateSquareRoot(Float x, Float estimate) {
  Float g = x * estimate, h = splat(0.5f) * estimate;
  Float error = fnma(g, h, splat(0.5f));
  g = fma(g, error, g);
  h = fma(h, error, h);
  return fma(fnma(g, g, x), h, g);
}

// 2^n for -126 <= n <= 127; n = -127 gives 0 and n = 128 infinity.
THALWEG_INLINE Float powerOfTwo(Int n) { return fromBits(shiftLeft<23>(n + splatInt(127))); }

// Sixteen virtual lanes, as many vectors as that takes. Reductions are written in these, so that the shape of the
// sum is the same whatever the width of a vector.
constexpr int kParts = 16 / kWidth;
struct Lanes16 {
  Float part[kParts];
};

THALWEG_INLINE Lanes16 splat16(float value) {
  Lanes16 y;
  for (int i = 0; i < kParts; i++) y.part[i] = splat(value);
  return y;
}

THALWEG_INLINE Lanes16 zero16() { return splat16(0.0f); }

THALWEG_INLINE Lanes16 load16(const float* x) {
  Lanes16 y;
  for (int i = 0; i < kParts; i++) y.part[i] = load(x + i * kWidth);
  return y;
}

THALWEG_INLINE void store16(float* y, Lanes16 x) {
  for (int i = 0; i < kParts; i++) store(y + i * kWidth, x.part[i]);
}

// How many of the first n lanes fall into part `i`.
THALWEG_INLINE int lanesInPart(int n, int i) {
  int rest = n - i * kWidth;
  return rest < 0 ? 0 : rest > kWidth ? kWidth : rest;
}

// The first n lanes, 0 <= n <= 16; the others are read as 0.
THALWEG_INLINE Lanes16 load16Partial(const float* x, int n) {
  Lanes16 y;
  for (int i = 0; i < kParts; i++) {
    int lanes = lanesInPart(n, i);
    y.part[i] = lanes > 0 ? loadPartial(x + i * kWidth, lanes) : splat(0.0f);
  }
  return y;
}

THALWEG_INLINE void store16Partial(float* y, Lanes16 x, int n) {
  for (int i = 0; i < kParts; i++) {
    int lanes = lanesInPart(n, i);
    if (lanes > 0) storePartial(y + i * kWidth, x.part[i], lanes);
  }
}

THALWEG_INLINE Lanes16 add16(Lanes16 a, Lanes16 b) {
  for (int i = 0; i < kParts; i++) a.part[i] = a.part[i] + b.part[i];
  return a;
}

THALWEG_INLINE Lanes16 mul16(Lanes16 a, Lanes16 b) {
  for (int i = 0; i < kParts; i++) a.part[i] = a.part[i] * b.part[i];
  return a;
}

// a * b + c
THALWEG_INLINE Lanes16 fma16(Lanes16 a, Lanes16 b, Lanes16 c) {
  for (int i = 0; i < kParts; i++) c.part[i] = fma(a.part[i], b.part[i], c.part[i]);
  return c;
}

THALWEG_INLINE Lanes16 max16(Lanes16 a, Lanes16 b) {
  for (int i = 0; i < kParts; i++) a.part[i] = maximum(a.part[i], b.part[i]);
  return a;
}

// The sum of the lanes as a tree: lane l with l + 8, then with l + 4, l + 2, l + 1.
THALWEG_INLINE float sum16(Lanes16 x) {
  for (int half = kParts / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) x.part[i] = x.part[i] + x.part[i + half];
  Float y = x.part[0];
  if constexpr (kWidth > 8) y = y + lanesAbove<8>(y);
  if constexpr (kWidth > 4) y = y + lanesAbove<4>(y);
  if constexpr (kWidth > 2) y = y + lanesAbove<2>(y);
  if constexpr (kWidth > 1) y = y + lanesAbove<1>(y);
  return firstLane(y);
}

// The largest lane by the same tree, NaN when any lane is NaN.
THALWEG_INLINE float maximum16(Lanes16 x) {
  for (int half = kParts / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) x.part[i] = maximum(x.part[i], x.part[i + half]);
  Float y = x.part[0];
  if constexpr (kWidth > 8) y = maximum(y, lanesAbove<8>(y));
  if constexpr (kWidth > 4) y = maximum(y, lanesAbove<4>(y));
  if constexpr (kWidth > 2) y = maximum(y, lanesAbove<2>(y));
  if constexpr (kWidth > 1) y = maximum(y, lanesAbove<1>(y));
  return firstLane(y);
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
