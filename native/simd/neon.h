// Vectors of four floats: the SIMD instructions every 64-bit Arm CPU has. Include simd.h, not this file.
#pragma once
#include <arm_neon.h>

namespace thalweg {
namespace THALWEG_ISA {

constexpr int kWidth = 4;
struct Float { float32x4_t v; };
struct Int { int32x4_t v; };
struct Mask { uint32x4_t v; };  // all bits of a lane are set or clear

THALWEG_INLINE Float load(const float* x) { return {vld1q_f32(x)}; }
THALWEG_INLINE void store(float* y, Float x) { vst1q_f32(y, x.v); }
THALWEG_INLINE Float loadPartial(const float* x, int n) {
  float lanes[4] = {0, 0, 0, 0};
  for (int i = 0; i < 4; i++) if (i < n) lanes[i] = x[i];
  return {vld1q_f32(lanes)};
}
THALWEG_INLINE void storePartial(float* y, Float x, int n) {
  float lanes[4];
  vst1q_f32(lanes, x.v);
  for (int i = 0; i < 4; i++) if (i < n) y[i] = lanes[i];
}
THALWEG_INLINE Int loadInt(const int32_t* x) { return {vld1q_s32(x)}; }
THALWEG_INLINE void storeInt(int32_t* y, Int x) { vst1q_s32(y, x.v); }
THALWEG_INLINE Int loadIntPartial(const int32_t* x, int n) {
  int32_t lanes[4] = {0, 0, 0, 0};
  for (int i = 0; i < 4; i++) if (i < n) lanes[i] = x[i];
  return {vld1q_s32(lanes)};
}
THALWEG_INLINE void storeIntPartial(int32_t* y, Int x, int n) {
  int32_t lanes[4];
  vst1q_s32(lanes, x.v);
  for (int i = 0; i < 4; i++) if (i < n) y[i] = lanes[i];
}
THALWEG_INLINE Float splat(float x) { return {vdupq_n_f32(x)}; }
THALWEG_INLINE Int splatInt(int32_t x) { return {vdupq_n_s32(x)}; }

THALWEG_INLINE Int bits(Float x) { return {vreinterpretq_s32_f32(x.v)}; }
THALWEG_INLINE Float fromBits(Int x) { return {vreinterpretq_f32_s32(x.v)}; }
THALWEG_INLINE Float toFloat(Int x) { return {vcvtq_f32_s32(x.v)}; }

THALWEG_INLINE Float operator+(Float a, Float b) { return {vaddq_f32(a.v, b.v)}; }
THALWEG_INLINE Float operator-(Float a, Float b) { return {vsubq_f32(a.v, b.v)}; }
THALWEG_INLINE Float operator*(Float a, Float b) { return {vmulq_f32(a.v, b.v)}; }
THALWEG_INLINE Float operator/(Float a, Float b) { return {vdivq_f32(a.v, b.v)}; }
THALWEG_INLINE Float fma(Float a, Float b, Float c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
THALWEG_INLINE Float fnma(Float a, Float b, Float c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
THALWEG_INLINE Float squareRoot(Float x) { return {vsqrtq_f32(x.v)}; }
constexpr bool kIteratesRoots = false;
THALWEG_INLINE Float reciprocalRootEstimate(Float x) { return splat(1.0f) / squareRoot(x); }
THALWEG_INLINE Float absolute(Float x) { return {vabsq_f32(x.v)}; }
THALWEG_INLINE Float negate(Float x) { return {vnegq_f32(x.v)}; }
THALWEG_INLINE Float copySign(Float magnitude, Float sign) {
  return {vbslq_f32(vdupq_n_u32(0x80000000u), sign.v, magnitude.v)};
}
THALWEG_INLINE Float atMost(Float x, Float limit) { return {vminq_f32(x.v, limit.v)}; }
THALWEG_INLINE Float atLeast(Float x, Float limit) { return {vmaxq_f32(x.v, limit.v)}; }

THALWEG_INLINE Int operator+(Int a, Int b) { return {vaddq_s32(a.v, b.v)}; }
THALWEG_INLINE Int operator-(Int a, Int b) { return {vsubq_s32(a.v, b.v)}; }
THALWEG_INLINE Int operator&(Int a, Int b) { return {vandq_s32(a.v, b.v)}; }
THALWEG_INLINE Int operator|(Int a, Int b) { return {vorrq_s32(a.v, b.v)}; }
THALWEG_INLINE Int operator^(Int a, Int b) { return {veorq_s32(a.v, b.v)}; }
template <int n> THALWEG_INLINE Int shiftLeft(Int x) { return {vshlq_n_s32(x.v, n)}; }
template <int n> THALWEG_INLINE Int shiftRightLogical(Int x) {
  return {vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(x.v), n))};
}
template <int n> THALWEG_INLINE Int shiftRightArithmetic(Int x) { return {vshrq_n_s32(x.v, n)}; }
THALWEG_INLINE Int multiplyLow(Int a, Int b) { return {vmulq_s32(a.v, b.v)}; }
THALWEG_INLINE Int multiplyHigh(Int a, Int b) {
  uint32x4_t x = vreinterpretq_u32_s32(a.v), y = vreinterpretq_u32_s32(b.v);
  uint32x4_t low = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(x), vget_low_u32(y)));
  uint32x4_t high = vreinterpretq_u32_u64(vmull_high_u32(x, y));
  return {vreinterpretq_s32_u32(vuzp2q_u32(low, high))};
}

THALWEG_INLINE Mask less(Float a, Float b) { return {vcltq_f32(a.v, b.v)}; }
THALWEG_INLINE Mask lessEqual(Float a, Float b) { return {vcleq_f32(a.v, b.v)}; }
THALWEG_INLINE Mask greater(Float a, Float b) { return {vcgtq_f32(a.v, b.v)}; }
THALWEG_INLINE Mask greaterEqual(Float a, Float b) { return {vcgeq_f32(a.v, b.v)}; }
THALWEG_INLINE Mask equal(Float a, Float b) { return {vceqq_f32(a.v, b.v)}; }
THALWEG_INLINE Mask notMask(Mask a) { return {vmvnq_u32(a.v)}; }
THALWEG_INLINE Mask notEqual(Float a, Float b) { return notMask(equal(a, b)); }
THALWEG_INLINE Mask isNan(Float x) { return notEqual(x, x); }
THALWEG_INLINE Mask lessInt(Int a, Int b) { return {vcltq_s32(a.v, b.v)}; }
THALWEG_INLINE Mask equalInt(Int a, Int b) { return {vceqq_s32(a.v, b.v)}; }
THALWEG_INLINE Mask noCommonBit(Int a, Int b) { return notMask({vtstq_s32(a.v, b.v)}); }
THALWEG_INLINE Mask andMask(Mask a, Mask b) { return {vandq_u32(a.v, b.v)}; }
THALWEG_INLINE Mask orMask(Mask a, Mask b) { return {vorrq_u32(a.v, b.v)}; }
THALWEG_INLINE bool all(Mask a) { return vminvq_u32(a.v) != 0; }
THALWEG_INLINE Float select(Mask m, Float whenTrue, Float whenFalse) {
  return {vbslq_f32(m.v, whenTrue.v, whenFalse.v)};
}
THALWEG_INLINE Int selectInt(Mask m, Int whenTrue, Int whenFalse) {
  return {vbslq_s32(m.v, whenTrue.v, whenFalse.v)};
}

template <int distance> THALWEG_INLINE Float lanesAbove(Float x) {
  return {vextq_f32(x.v, x.v, distance)};
}
THALWEG_INLINE float firstLane(Float x) { return vgetq_lane_f32(x.v, 0); }

THALWEG_INLINE void transpose(Float (&rows)[4]) {
  float32x4x2_t low = vtrnq_f32(rows[0].v, rows[1].v), high = vtrnq_f32(rows[2].v, rows[3].v);
  rows[0].v = vcombine_f32(vget_low_f32(low.val[0]), vget_low_f32(high.val[0]));
  rows[1].v = vcombine_f32(vget_low_f32(low.val[1]), vget_low_f32(high.val[1]));
  rows[2].v = vcombine_f32(vget_high_f32(low.val[0]), vget_high_f32(high.val[0]));
  rows[3].v = vcombine_f32(vget_high_f32(low.val[1]), vget_high_f32(high.val[1]));
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
