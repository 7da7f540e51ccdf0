// Vectors of sixteen floats: AVX-512 F, DQ, BW and VL. Include simd.h, not this file.
#pragma once
#include <immintrin.h>

namespace thalweg {
namespace THALWEG_ISA {

constexpr int kWidth = 16;
struct Float { __m512 v; };
struct Int { __m512i v; };
struct Mask { __mmask16 v; };  // one bit per lane

THALWEG_INLINE __mmask16 firstLanes(int n) { return (__mmask16)((1u << n) - 1); }

THALWEG_INLINE Float load(const float* x) { return {_mm512_loadu_ps(x)}; }
THALWEG_INLINE void store(float* y, Float x) { _mm512_storeu_ps(y, x.v); }
THALWEG_INLINE Float loadPartial(const float* x, int n) { return {_mm512_maskz_loadu_ps(firstLanes(n), x)}; }
THALWEG_INLINE void storePartial(float* y, Float x, int n) { _mm512_mask_storeu_ps(y, firstLanes(n), x.v); }
THALWEG_INLINE Int loadInt(const int32_t* x) { return {_mm512_loadu_si512(x)}; }
THALWEG_INLINE void storeInt(int32_t* y, Int x) { _mm512_storeu_si512(y, x.v); }
THALWEG_INLINE Int loadIntPartial(const int32_t* x, int n) {
  return {_mm512_maskz_loadu_epi32(firstLanes(n), x)};
}
THALWEG_INLINE void storeIntPartial(int32_t* y, Int x, int n) {
  _mm512_mask_storeu_epi32(y, firstLanes(n), x.v);
}
THALWEG_INLINE Float splat(float x) { return {_mm512_set1_ps(x)}; }
THALWEG_INLINE Int splatInt(int32_t x) { return {_mm512_set1_epi32(x)}; }

THALWEG_INLINE Int bits(Float x) { return {_mm512_castps_si512(x.v)}; }
THALWEG_INLINE Float fromBits(Int x) { return {_mm512_castsi512_ps(x.v)}; }
THALWEG_INLINE Float toFloat(Int x) { return {_mm512_maskz_cvtepi32_ps(0xffff, x.v)}; }

THALWEG_INLINE Float operator+(Float a, Float b) { return {_mm512_add_ps(a.v, b.v)}; }
THALWEG_INLINE Float operator-(Float a, Float b) { return {_mm512_sub_ps(a.v, b.v)}; }
THALWEG_INLINE Float operator*(Float a, Float b) { return {_mm512_mul_ps(a.v, b.v)}; }
THALWEG_INLINE Float operator/(Float a, Float b) { return {_mm512_div_ps(a.v, b.v)}; }
THALWEG_INLINE Float fma(Float a, Float b, Float c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
THALWEG_INLINE Float fnma(Float a, Float b, Float c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
// NOTE: the zero-masked forms with a full mask: g++ 12 warns about its own unmasked ones.
THALWEG_INLINE Float squareRoot(Float x) { return {_mm512_maskz_sqrt_ps(0xffff, x.v)}; }
constexpr bool kIteratesRoots = true;
THALWEG_INLINE Float reciprocalRootEstimate(Float x) {
  return {_mm512_maskz_rsqrt14_ps(_mm512_cmp_ps_mask(x.v, _mm512_setzero_ps(), _CMP_NEQ_UQ), x.v)};
}
THALWEG_INLINE Float absolute(Float x) {
  return {_mm512_maskz_andnot_ps(0xffff, _mm512_set1_ps(-0.0f), x.v)};
}
THALWEG_INLINE Float negate(Float x) { return {_mm512_xor_ps(_mm512_set1_ps(-0.0f), x.v)}; }
THALWEG_INLINE Float copySign(Float magnitude, Float sign) {
  // Truth table 0xac on (signBit, magnitude, sign): where the first is set take the third, else the second.
  return {_mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_set1_epi32(INT32_MIN), _mm512_castps_si512(magnitude.v),
                                                        _mm512_castps_si512(sign.v), 0xac))};
}
// NOTE: the order of the operands matters: the instruction gives its second one when either is NaN.
THALWEG_INLINE Float atMost(Float x, Float limit) { return {_mm512_maskz_min_ps(0xffff, limit.v, x.v)}; }
THALWEG_INLINE Float atLeast(Float x, Float limit) { return {_mm512_maskz_max_ps(0xffff, limit.v, x.v)}; }

THALWEG_INLINE Int operator+(Int a, Int b) { return {_mm512_add_epi32(a.v, b.v)}; }
THALWEG_INLINE Int operator-(Int a, Int b) { return {_mm512_sub_epi32(a.v, b.v)}; }
THALWEG_INLINE Int operator&(Int a, Int b) { return {_mm512_and_si512(a.v, b.v)}; }
THALWEG_INLINE Int operator|(Int a, Int b) { return {_mm512_or_si512(a.v, b.v)}; }
THALWEG_INLINE Int operator^(Int a, Int b) { return {_mm512_xor_si512(a.v, b.v)}; }
template <int n> THALWEG_INLINE Int shiftLeft(Int x) { return {_mm512_maskz_slli_epi32(0xffff, x.v, n)}; }
template <int n> THALWEG_INLINE Int shiftRightLogical(Int x) { return {_mm512_maskz_srli_epi32(0xffff, x.v, n)}; }
template <int n> THALWEG_INLINE Int shiftRightArithmetic(Int x) { return {_mm512_maskz_srai_epi32(0xffff, x.v, n)}; }
THALWEG_INLINE Int multiplyLow(Int a, Int b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
THALWEG_INLINE Int multiplyHigh(Int a, Int b) {
  // The wide product exists for even lanes only, so odd lanes are moved there and back.
  __m512i even = _mm512_maskz_mul_epu32(0xff, a.v, b.v);
  __m512i odd = _mm512_maskz_mul_epu32(0xff, _mm512_maskz_srli_epi64(0xff, a.v, 32), _mm512_maskz_srli_epi64(0xff, b.v, 32));
  return {_mm512_mask_blend_epi32(0xaaaa, _mm512_maskz_srli_epi64(0xff, even, 32), odd)};
}

THALWEG_INLINE Mask less(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
THALWEG_INLINE Mask lessEqual(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
THALWEG_INLINE Mask greater(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
THALWEG_INLINE Mask greaterEqual(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
THALWEG_INLINE Mask equal(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
THALWEG_INLINE Mask notEqual(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_NEQ_UQ)}; }
THALWEG_INLINE Mask isNan(Float x) { return {_mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q)}; }
THALWEG_INLINE Mask lessInt(Int a, Int b) { return {_mm512_cmplt_epi32_mask(a.v, b.v)}; }
THALWEG_INLINE Mask equalInt(Int a, Int b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }
THALWEG_INLINE Mask noCommonBit(Int a, Int b) { return {_mm512_testn_epi32_mask(a.v, b.v)}; }
THALWEG_INLINE Mask andMask(Mask a, Mask b) { return {(__mmask16)(a.v & b.v)}; }
THALWEG_INLINE Mask orMask(Mask a, Mask b) { return {(__mmask16)(a.v | b.v)}; }
THALWEG_INLINE Mask notMask(Mask a) { return {(__mmask16)~a.v}; }
THALWEG_INLINE bool all(Mask a) { return _mm512_kortestc(a.v, a.v); }
THALWEG_INLINE Float select(Mask m, Float whenTrue, Float whenFalse) {
  return {_mm512_mask_blend_ps(m.v, whenFalse.v, whenTrue.v)};
}
THALWEG_INLINE Int selectInt(Mask m, Int whenTrue, Int whenFalse) {
  return {_mm512_mask_blend_epi32(m.v, whenFalse.v, whenTrue.v)};
}

template <int distance> THALWEG_INLINE Float lanesAbove(Float x) {
  if constexpr (distance == 8) return {_mm512_maskz_shuffle_f32x4(0xffff, x.v, x.v, 0x0e)};
  if constexpr (distance == 4) return {_mm512_maskz_shuffle_f32x4(0xffff, x.v, x.v, 0x01)};
  if constexpr (distance == 2) return {_mm512_maskz_permute_ps(0xffff, x.v, 0x0e)};
  return {_mm512_maskz_permute_ps(0xffff, x.v, 0x01)};
}
THALWEG_INLINE float firstLane(Float x) { return _mm512_cvtss_f32(x.v); }

// In each quarter of the registers: column c of the four rows becomes rows[c].
// NOTE: the forms with a mask, of which everything is kept, because g++ 12 warns of what the plain ones leave undefined.
THALWEG_INLINE void transposeQuarters(__m512 (&rows)[4]) {
  const __m512 low01 = _mm512_maskz_unpacklo_ps(0xffff, rows[0], rows[1]), high01 = _mm512_maskz_unpackhi_ps(0xffff, rows[0], rows[1]);
  const __m512 low23 = _mm512_maskz_unpacklo_ps(0xffff, rows[2], rows[3]), high23 = _mm512_maskz_unpackhi_ps(0xffff, rows[2], rows[3]);
  rows[0] = _mm512_maskz_shuffle_ps(0xffff, low01, low23, 0x44);
  rows[1] = _mm512_maskz_shuffle_ps(0xffff, low01, low23, 0xee);
  rows[2] = _mm512_maskz_shuffle_ps(0xffff, high01, high23, 0x44);
  rows[3] = _mm512_maskz_shuffle_ps(0xffff, high01, high23, 0xee);
}

THALWEG_INLINE void transpose(Float (&rows)[16]) {
  // Squares of 4 x 4 first: quarter q of fours[g][c] is column 4 q + c of rows 4 g … 4 g + 3.
  __m512 fours[4][4];
  for (int g = 0; g < 4; g++) {
    for (int i = 0; i < 4; i++) fours[g][i] = rows[4 * g + i].v;
    transposeQuarters(fours[g]);
  }
  // Then the quarters change places.
  for (int c = 0; c < 4; c++) {
    __m512 low01 = _mm512_maskz_shuffle_f32x4(0xffff, fours[0][c], fours[1][c], 0x44);
    __m512 high01 = _mm512_maskz_shuffle_f32x4(0xffff, fours[0][c], fours[1][c], 0xee);
    __m512 low23 = _mm512_maskz_shuffle_f32x4(0xffff, fours[2][c], fours[3][c], 0x44);
    __m512 high23 = _mm512_maskz_shuffle_f32x4(0xffff, fours[2][c], fours[3][c], 0xee);
    rows[c].v = _mm512_maskz_shuffle_f32x4(0xffff, low01, low23, 0x88);
    rows[c + 4].v = _mm512_maskz_shuffle_f32x4(0xffff, low01, low23, 0xdd);
    rows[c + 8].v = _mm512_maskz_shuffle_f32x4(0xffff, high01, high23, 0x88);
    rows[c + 12].v = _mm512_maskz_shuffle_f32x4(0xffff, high01, high23, 0xdd);
  }
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
