// Vectors of eight floats: AVX2 with FMA. Include simd.h, not this file.
#pragma once
#include <immintrin.h>

namespace thalweg {
namespace THALWEG_ISA {

constexpr int kWidth = 8;
struct Float { __m256 v; };
struct Int { __m256i v; };
struct Mask { __m256 v; };  // all bits of a lane are set or clear

// Lanes 0 … n-1, as the masked loads and stores want them.
THALWEG_INLINE __m256i firstLanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

THALWEG_INLINE Float load(const float* x) { return {_mm256_loadu_ps(x)}; }
THALWEG_INLINE void store(float* y, Float x) { _mm256_storeu_ps(y, x.v); }
THALWEG_INLINE Float loadPartial(const float* x, int n) { return {_mm256_maskload_ps(x, firstLanes(n))}; }
THALWEG_INLINE void storePartial(float* y, Float x, int n) { _mm256_maskstore_ps(y, firstLanes(n), x.v); }
THALWEG_INLINE Int loadInt(const int32_t* x) { return {_mm256_loadu_si256((const __m256i*)x)}; }
THALWEG_INLINE void storeInt(int32_t* y, Int x) { _mm256_storeu_si256((__m256i*)y, x.v); }
THALWEG_INLINE Int loadIntPartial(const int32_t* x, int n) {
  return {_mm256_maskload_epi32((const int*)x, firstLanes(n))};
}
THALWEG_INLINE void storeIntPartial(int32_t* y, Int x, int n) {
  _mm256_maskstore_epi32((int*)y, firstLanes(n), x.v);
}
THALWEG_INLINE Float splat(float x) { return {_mm256_set1_ps(x)}; }
THALWEG_INLINE Int splatInt(int32_t x) { return {_mm256_set1_epi32(x)}; }

THALWEG_INLINE Int bits(Float x) { return {_mm256_castps_si256(x.v)}; }
THALWEG_INLINE Float fromBits(Int x) { return {_mm256_castsi256_ps(x.v)}; }
THALWEG_INLINE Float toFloat(Int x) { return {_mm256_cvtepi32_ps(x.v)}; }

THALWEG_INLINE Float operator+(Float a, Float b) { return {_mm256_add_ps(a.v, b.v)}; }
THALWEG_INLINE Float operator-(Float a, Float b) { return {_mm256_sub_ps(a.v, b.v)}; }
THALWEG_INLINE Float operator*(Float a, Float b) { return {_mm256_mul_ps(a.v, b.v)}; }
THALWEG_INLINE Float operator/(Float a, Float b) { return {_mm256_div_ps(a.v, b.v)}; }
THALWEG_INLINE Float fma(Float a, Float b, Float c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
THALWEG_INLINE Float fnma(Float a, Float b, Float c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
THALWEG_INLINE Float squareRoot(Float x) { return {_mm256_sqrt_ps(x.v)}; }
constexpr bool kIteratesRoots = false;
THALWEG_INLINE Float reciprocalRootEstimate(Float x) { return splat(1.0f) / squareRoot(x); }
THALWEG_INLINE Float absolute(Float x) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), x.v)}; }
THALWEG_INLINE Float negate(Float x) { return {_mm256_xor_ps(_mm256_set1_ps(-0.0f), x.v)}; }
THALWEG_INLINE Float copySign(Float magnitude, Float sign) {
  __m256 signBit = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(_mm256_andnot_ps(signBit, magnitude.v), _mm256_and_ps(signBit, sign.v))};
}
// NOTE: the order of the operands matters: the instruction gives its second one when either is NaN.
THALWEG_INLINE Float atMost(Float x, Float limit) { return {_mm256_min_ps(limit.v, x.v)}; }
THALWEG_INLINE Float atLeast(Float x, Float limit) { return {_mm256_max_ps(limit.v, x.v)}; }

THALWEG_INLINE Int operator+(Int a, Int b) { return {_mm256_add_epi32(a.v, b.v)}; }
THALWEG_INLINE Int operator-(Int a, Int b) { return {_mm256_sub_epi32(a.v, b.v)}; }
THALWEG_INLINE Int operator&(Int a, Int b) { return {_mm256_and_si256(a.v, b.v)}; }
THALWEG_INLINE Int operator|(Int a, Int b) { return {_mm256_or_si256(a.v, b.v)}; }
THALWEG_INLINE Int operator^(Int a, Int b) { return {_mm256_xor_si256(a.v, b.v)}; }
template <int n> THALWEG_INLINE Int shiftLeft(Int x) { return {_mm256_slli_epi32(x.v, n)}; }
template <int n> THALWEG_INLINE Int shiftRightLogical(Int x) { return {_mm256_srli_epi32(x.v, n)}; }
template <int n> THALWEG_INLINE Int shiftRightArithmetic(Int x) { return {_mm256_srai_epi32(x.v, n)}; }
THALWEG_INLINE Int multiplyLow(Int a, Int b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
THALWEG_INLINE Int multiplyHigh(Int a, Int b) {
  // The wide product exists for even lanes only, so odd lanes are moved there and back.
  __m256i even = _mm256_mul_epu32(a.v, b.v);
  __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a.v, 32), _mm256_srli_epi64(b.v, 32));
  return {_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa)};
}

THALWEG_INLINE Mask less(Float a, Float b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
THALWEG_INLINE Mask lessEqual(Float a, Float b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
THALWEG_INLINE Mask greater(Float a, Float b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
THALWEG_INLINE Mask greaterEqual(Float a, Float b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
THALWEG_INLINE Mask equal(Float a, Float b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
THALWEG_INLINE Mask notEqual(Float a, Float b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_NEQ_UQ)}; }
THALWEG_INLINE Mask isNan(Float x) { return {_mm256_cmp_ps(x.v, x.v, _CMP_UNORD_Q)}; }
THALWEG_INLINE Mask lessInt(Int a, Int b) { return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(b.v, a.v))}; }
THALWEG_INLINE Mask equalInt(Int a, Int b) { return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.v, b.v))}; }
THALWEG_INLINE Mask noCommonBit(Int a, Int b) { return equalInt(a & b, splatInt(0)); }
THALWEG_INLINE Mask andMask(Mask a, Mask b) { return {_mm256_and_ps(a.v, b.v)}; }
THALWEG_INLINE Mask orMask(Mask a, Mask b) { return {_mm256_or_ps(a.v, b.v)}; }
THALWEG_INLINE Mask notMask(Mask a) {
  return {_mm256_xor_ps(a.v, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))};
}
THALWEG_INLINE bool all(Mask a) { return _mm256_movemask_ps(a.v) == 0xff; }
THALWEG_INLINE Float select(Mask m, Float whenTrue, Float whenFalse) {
  return {_mm256_blendv_ps(whenFalse.v, whenTrue.v, m.v)};
}
THALWEG_INLINE Int selectInt(Mask m, Int whenTrue, Int whenFalse) {
  return {_mm256_blendv_epi8(whenFalse.v, whenTrue.v, _mm256_castps_si256(m.v))};
}

template <int distance> THALWEG_INLINE Float lanesAbove(Float x) {
  if constexpr (distance == 4) return {_mm256_castps128_ps256(_mm256_extractf128_ps(x.v, 1))};
  if constexpr (distance == 2) return {_mm256_permute_ps(x.v, 0x0e)};
  return {_mm256_permute_ps(x.v, 0x01)};
}
THALWEG_INLINE float firstLane(Float x) { return _mm256_cvtss_f32(x.v); }

THALWEG_INLINE void transpose(Float (&rows)[8]) {
  __m256 fours[8];  // fours[4 h + c]: column c of rows 4 h … 4 h + 3 in the low half, column c + 4 in the high one
  for (int h = 0; h < 8; h += 4) {
    __m256 low01 = _mm256_unpacklo_ps(rows[h].v, rows[h + 1].v), high01 = _mm256_unpackhi_ps(rows[h].v, rows[h + 1].v);
    __m256 low23 = _mm256_unpacklo_ps(rows[h + 2].v, rows[h + 3].v), high23 = _mm256_unpackhi_ps(rows[h + 2].v, rows[h + 3].v);
    fours[h] = _mm256_shuffle_ps(low01, low23, 0x44);
    fours[h + 1] = _mm256_shuffle_ps(low01, low23, 0xee);
    fours[h + 2] = _mm256_shuffle_ps(high01, high23, 0x44);
    fours[h + 3] = _mm256_shuffle_ps(high01, high23, 0xee);
  }
  for (int c = 0; c < 4; c++) {
    rows[c].v = _mm256_permute2f128_ps(fours[c], fours[c + 4], 0x20);
    rows[c + 4].v = _mm256_permute2f128_ps(fours[c], fours[c + 4], 0x31);
  }
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
