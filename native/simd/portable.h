// Vectors of one float, in plain C. Include simd.h, not this file.
//
// fmaf is exact on every C library; on a CPU without the instruction it is slow, and there is no legal shortcut.
#pragma once

namespace thalweg {
namespace THALWEG_ISA {

constexpr int kWidth = 1;
struct Float { float v; };
struct Int { int32_t v; };
struct Mask { bool v; };

THALWEG_INLINE Float load(const float* x) { return {*x}; }
THALWEG_INLINE void store(float* y, Float x) { *y = x.v; }
THALWEG_INLINE Float loadPartial(const float* x, int n) { return {n > 0 ? *x : 0.0f}; }
THALWEG_INLINE void storePartial(float* y, Float x, int n) { if (n > 0) *y = x.v; }
THALWEG_INLINE Int loadInt(const int32_t* x) { return {*x}; }
THALWEG_INLINE void storeInt(int32_t* y, Int x) { *y = x.v; }
THALWEG_INLINE Int loadIntPartial(const int32_t* x, int n) { return {n > 0 ? *x : 0}; }
THALWEG_INLINE void storeIntPartial(int32_t* y, Int x, int n) { if (n > 0) *y = x.v; }
THALWEG_INLINE Float splat(float x) { return {x}; }
THALWEG_INLINE Int splatInt(int32_t x) { return {x}; }

THALWEG_INLINE Int bits(Float x) { Int y; memcpy(&y.v, &x.v, 4); return y; }
THALWEG_INLINE Float fromBits(Int x) { Float y; memcpy(&y.v, &x.v, 4); return y; }
THALWEG_INLINE Float toFloat(Int x) { return {(float)x.v}; }

THALWEG_INLINE Float operator+(Float a, Float b) { return {a.v + b.v}; }
THALWEG_INLINE Float operator-(Float a, Float b) { return {a.v - b.v}; }
THALWEG_INLINE Float operator*(Float a, Float b) { return {a.v * b.v}; }
THALWEG_INLINE Float operator/(Float a, Float b) { return {a.v / b.v}; }
THALWEG_INLINE Float fma(Float a, Float b, Float c) { return {fmaf(a.v, b.v, c.v)}; }
THALWEG_INLINE Float fnma(Float a, Float b, Float c) { return {fmaf(-a.v, b.v, c.v)}; }
THALWEG_INLINE Float squareRoot(Float x) { return {sqrtf(x.v)}; }
constexpr bool kIteratesRoots = false;
THALWEG_INLINE Float reciprocalRootEstimate(Float x) { return splat(1.0f) / squareRoot(x); }

// Signed overflow is undefined in C, so these go through unsigned.
THALWEG_INLINE Int operator+(Int a, Int b) { return {(int32_t)((uint32_t)a.v + (uint32_t)b.v)}; }
THALWEG_INLINE Int operator-(Int a, Int b) { return {(int32_t)((uint32_t)a.v - (uint32_t)b.v)}; }
THALWEG_INLINE Int operator&(Int a, Int b) { return {a.v & b.v}; }
THALWEG_INLINE Int operator|(Int a, Int b) { return {a.v | b.v}; }
THALWEG_INLINE Int operator^(Int a, Int b) { return {a.v ^ b.v}; }
template <int n> THALWEG_INLINE Int shiftLeft(Int x) { return {(int32_t)((uint32_t)x.v << n)}; }
template <int n> THALWEG_INLINE Int shiftRightLogical(Int x) { return {(int32_t)((uint32_t)x.v >> n)}; }
template <int n> THALWEG_INLINE Int shiftRightArithmetic(Int x) { return {x.v >> n}; }
THALWEG_INLINE Int multiplyLow(Int a, Int b) { return {(int32_t)((uint32_t)a.v * (uint32_t)b.v)}; }
THALWEG_INLINE Int multiplyHigh(Int a, Int b) { return {(int32_t)(((uint64_t)(uint32_t)a.v * (uint32_t)b.v) >> 32)}; }

THALWEG_INLINE Float absolute(Float x) { return fromBits(bits(x) & splatInt(INT32_MAX)); }
THALWEG_INLINE Float negate(Float x) { return fromBits(bits(x) ^ splatInt(INT32_MIN)); }
THALWEG_INLINE Float copySign(Float magnitude, Float sign) {
  return fromBits((bits(magnitude) & splatInt(INT32_MAX)) | (bits(sign) & splatInt(INT32_MIN)));
}

THALWEG_INLINE Float atMost(Float x, Float limit) { return {x.v > limit.v ? limit.v : x.v}; }
THALWEG_INLINE Float atLeast(Float x, Float limit) { return {x.v < limit.v ? limit.v : x.v}; }

THALWEG_INLINE Mask less(Float a, Float b) { return {a.v < b.v}; }
THALWEG_INLINE Mask lessEqual(Float a, Float b) { return {a.v <= b.v}; }
THALWEG_INLINE Mask greater(Float a, Float b) { return {a.v > b.v}; }
THALWEG_INLINE Mask greaterEqual(Float a, Float b) { return {a.v >= b.v}; }
THALWEG_INLINE Mask equal(Float a, Float b) { return {a.v == b.v}; }
THALWEG_INLINE Mask notEqual(Float a, Float b) { return {a.v != b.v}; }
THALWEG_INLINE Mask isNan(Float x) { return {x.v != x.v}; }
THALWEG_INLINE Mask lessInt(Int a, Int b) { return {a.v < b.v}; }
THALWEG_INLINE Mask equalInt(Int a, Int b) { return {a.v == b.v}; }
THALWEG_INLINE Mask noCommonBit(Int a, Int b) { return {(a.v & b.v) == 0}; }
THALWEG_INLINE Mask andMask(Mask a, Mask b) { return {a.v && b.v}; }
THALWEG_INLINE Mask orMask(Mask a, Mask b) { return {a.v || b.v}; }
THALWEG_INLINE Mask notMask(Mask a) { return {!a.v}; }
THALWEG_INLINE bool all(Mask a) { return a.v; }
THALWEG_INLINE Float select(Mask m, Float whenTrue, Float whenFalse) { return m.v ? whenTrue : whenFalse; }
THALWEG_INLINE Int selectInt(Mask m, Int whenTrue, Int whenFalse) { return m.v ? whenTrue : whenFalse; }

template <int distance> THALWEG_INLINE Float lanesAbove(Float x) { return x; }
THALWEG_INLINE float firstLane(Float x) { return x.v; }
THALWEG_INLINE void transpose(Float (&)[1]) {}

}  // namespace THALWEG_ISA
}  // namespace thalweg
