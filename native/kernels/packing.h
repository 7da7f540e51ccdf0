// Copies of matrices in the order in which the micro-kernels of matmulTiles.h read them, transposed in registers if need be.
//
// NOTE: everything is `static`, and this header is for kernel files alone: see simd.h.
#pragma once
#include <stdint.h>
#include <string.h>

#include "../simd/simd.h"
#include "matmulTiles.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {

// --- Transposing ---

// A square of kSquare x kSquare elements, transposed in registers: lane i of columns[k] is source[i * sourceRow + k].
#if defined(THALWEG_ISA_AVX2) || defined(THALWEG_ISA_AVX512)

#if defined(THALWEG_ISA_AVX2)
using SquareVector = Float;
#else
struct SquareVector { __m256 v; };
THALWEG_INLINE void store(float* y, SquareVector x) { _mm256_storeu_ps(y, x.v); }
THALWEG_INLINE SquareVector operator+(SquareVector a, SquareVector b) { return {_mm256_add_ps(a.v, b.v)}; }
THALWEG_INLINE SquareVector fma(SquareVector a, SquareVector b, SquareVector c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
#endif
THALWEG_INLINE SquareVector loadSquareVector(const float* x) { return {_mm256_loadu_ps(x)}; }
THALWEG_INLINE SquareVector splatSquareVector(float x) { return {_mm256_set1_ps(x)}; }

// In each half of the registers: column c of the four rows becomes rows[c].
THALWEG_INLINE void transposeHalves(__m256 (&rows)[4]) {
  __m256 low01 = _mm256_unpacklo_ps(rows[0], rows[1]), high01 = _mm256_unpackhi_ps(rows[0], rows[1]);
  __m256 low23 = _mm256_unpacklo_ps(rows[2], rows[3]), high23 = _mm256_unpackhi_ps(rows[2], rows[3]);
  rows[0] = _mm256_shuffle_ps(low01, low23, 0x44);
  rows[1] = _mm256_shuffle_ps(low01, low23, 0xee);
  rows[2] = _mm256_shuffle_ps(high01, high23, 0x44);
  rows[3] = _mm256_shuffle_ps(high01, high23, 0xee);
}

THALWEG_INLINE void loadTransposed(const float* source, int64_t sourceRow, SquareVector (&columns)[kSquare]) {
  THALWEG_UNROLL for (int half = 0; half < 2; half++) {
    // Rows i and i + 4 share a register, so that nothing has to cross its middle.
    __m256 rows[4];
    THALWEG_UNROLL for (int i = 0; i < 4; i++) {
      const float* row = source + i * sourceRow + 4 * half;
      rows[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(row)), _mm_loadu_ps(row + 4 * sourceRow), 1);
    }
    transposeHalves(rows);
    THALWEG_UNROLL for (int k = 0; k < 4; k++) columns[4 * half + k] = {rows[k]};
  }
}

#elif defined(THALWEG_ISA_NEON)

using SquareVector = Float;
THALWEG_INLINE SquareVector loadSquareVector(const float* x) { return load(x); }
THALWEG_INLINE SquareVector splatSquareVector(float x) { return splat(x); }

THALWEG_INLINE void loadTransposed(const float* source, int64_t sourceRow, SquareVector (&columns)[kSquare]) {
  float32x4x2_t low = vtrnq_f32(vld1q_f32(source), vld1q_f32(source + sourceRow));
  float32x4x2_t high = vtrnq_f32(vld1q_f32(source + 2 * sourceRow), vld1q_f32(source + 3 * sourceRow));
  THALWEG_UNROLL for (int k = 0; k < 2; k++) {
    columns[k] = {vcombine_f32(vget_low_f32(low.val[k]), vget_low_f32(high.val[k]))};
    columns[k + 2] = {vcombine_f32(vget_high_f32(low.val[k]), vget_high_f32(high.val[k]))};
  }
}

#else

using SquareVector = Float;
THALWEG_INLINE SquareVector loadSquareVector(const float* x) { return load(x); }
THALWEG_INLINE SquareVector splatSquareVector(float x) { return splat(x); }

THALWEG_INLINE void loadTransposed(const float* source, int64_t, SquareVector (&columns)[kSquare]) {
  columns[0] = load(source);
}

#endif

// target(k, i) = source(i, k) for k < steps and i < kSquare, steps a multiple of kSquare.
THALWEG_INLINE void transposeSquares(const float* source, int64_t sourceRow, int64_t steps, float* target,
                                   int64_t targetStep) {
  for (int64_t k = 0; k < steps; k += kSquare) {
    SquareVector columns[kSquare];
    loadTransposed(source + k, sourceRow, columns);
    THALWEG_UNROLL for (int n = 0; n < kSquare; n++) store(target + (k + n) * targetStep, columns[n]);
  }
}

#if defined(THALWEG_ISA_AVX512)
// The same for sixteen rows and any multiple of four steps: rows 4 q … 4 q + 3 in quarter q of the registers, so that nothing has to cross.
THALWEG_INLINE void transposeSixteen(const float* source, int64_t sourceRow, int64_t steps, float* target, int64_t targetStep) {
  for (int64_t k = 0; k < steps; k += 4) {
    __m512 rows[4];
    THALWEG_UNROLL for (int i = 0; i < 4; i++) {
      const float* row = source + i * sourceRow + k;
      rows[i] = _mm512_castps128_ps512(_mm_loadu_ps(row));
      rows[i] = _mm512_maskz_insertf32x4(0xffff, rows[i], _mm_loadu_ps(row + 4 * sourceRow), 1);
      rows[i] = _mm512_maskz_insertf32x4(0xffff, rows[i], _mm_loadu_ps(row + 8 * sourceRow), 2);
      rows[i] = _mm512_maskz_insertf32x4(0xffff, rows[i], _mm_loadu_ps(row + 12 * sourceRow), 3);
    }
    transposeQuarters(rows);
    THALWEG_UNROLL for (int n = 0; n < 4; n++) _mm512_storeu_ps(target + (k + n) * targetStep, rows[n]);
  }
}
#endif

#if defined(THALWEG_ISA_AVX2)
// The same for the four rows of a strip, targetStep = 4 and steps a multiple of eight.
static void transposeStrip(const float* source, int64_t sourceRow, int64_t steps, float* target) {
  for (int64_t k = 0; k < steps; k += 8) {
    __m256 rows[4];
    THALWEG_UNROLL for (int i = 0; i < 4; i++) rows[i] = _mm256_loadu_ps(source + k + i * sourceRow);
    transposeHalves(rows);
    THALWEG_UNROLL for (int n = 0; n < 4; n++) {
      _mm_storeu_ps(target + (k + n) * 4, _mm256_castps256_ps128(rows[n]));
      _mm_storeu_ps(target + (k + n + 4) * 4, _mm256_extractf128_ps(rows[n], 1));
    }
  }
}
#endif

// target[k][i] = source(i, k) = source[i * sourceRow + k] for i < count, and 0 for count <= i < width.
static void packTransposed(const float* source, int64_t sourceRow, int64_t count, int64_t depth, float* target, int64_t width) {
  int64_t steps = depth - depth % kSquare, i = 0;
#if defined(THALWEG_ISA_AVX2)
  if (count == 4 && width == 4) {
    transposeStrip(source, sourceRow, steps, target);
    i = 4;
  }
#endif
  // Blocks of rows of the target, so that the lines of the target stay in the L1 cache until they are full.
  int64_t done = i;
  for (int64_t k = 0; k < steps; k += 64) {
    int64_t some = lesser(steps - k, 64);
    i = done;
#if defined(THALWEG_ISA_AVX512)
    for (; i + 16 <= count; i += 16) transposeSixteen(source + i * sourceRow + k, sourceRow, some, target + k * width + i, width);
#endif
    for (; i + kSquare <= count; i += kSquare)
      transposeSquares(source + i * sourceRow + k, sourceRow, some, target + k * width + i, width);
  }
  for (int64_t k = i == width ? steps : 0; k < depth; k++) {
    for (int64_t n = k < steps ? i : 0; n < count; n++) target[k * width + n] = source[n * sourceRow + k];
    for (int64_t n = count; n < width; n++) target[k * width + n] = 0.0f;
  }
}

// --- Packing ---

// target[k][i] = source[k * sourceStep + i] for i < count; the rest of the last vector is 0.
template <int vectors>
static void packRows(const float* source, int64_t sourceStep, int64_t count, int64_t depth, float* target) {
  int lastLanes = (int)(count - (vectors - 1) * kWidth);
  for (int64_t k = 0; k < depth; k++, source += sourceStep, target += vectors * kWidth)
    THALWEG_UNROLL for (int v = 0; v < vectors; v++)
      store(target + v * kWidth, loadOfRow<vectors>(source, v, lastLanes));
}

// A panel of b, whose b(k, j) is at k * bStep + j * bColumn: `count` columns of `depth` rows, in 1 … kPanelVectors or kWidePanelVectors vectors.
static void packPanel(const float* b, int64_t bStep, int64_t bColumn, int64_t count, int64_t depth, int64_t vectors,
                      float* target) {
  if (bColumn != 1) {
    packTransposed(b, bColumn, count, depth, target, vectors * kWidth);
  } else if (vectors == 1) {
    packRows<1>(b, bStep, count, depth, target);
  } else if (vectors == 2) {
    packRows<2>(b, bStep, count, depth, target);
  } else if (kWidePanelVectors > 0 && vectors == kWidePanelVectors) {
    packRows<kWidePanelVectors>(b, bStep, count, depth, target);
  } else {
    packRows<3>(b, bStep, count, depth, target);
  }
}

// A block of a, whose a(i, k) is at i * aRow + k * aStep, in strips of `stripRows` rows and a last one of what remains:
// target[strip][k][row].
template <int stripRows>
constexpr int kStripsTogether = 32 / stripRows;  // use whole cache lines of a whose columns are contiguous

template <int stripRows>
static void packStrips(const float* a, int64_t aRow, int64_t aStep, int64_t rows, int64_t depth, float* target) {
  int64_t row = 0;
  if (aStep == 1) {
    for (; row + stripRows <= rows; row += stripRows)
      packTransposed(a + row * aRow, aRow, stripRows, depth, target + row * depth, stripRows);
    if (row < rows)
      packTransposed(a + row * aRow, aRow, rows - row, depth, target + row * depth, rows - row);
    return;
  }
  // The rows of a strip are neighbours in memory.
  constexpr int kTogether = kStripsTogether<stripRows>;
  for (; row + kTogether * stripRows <= rows; row += kTogether * stripRows) {
    const float* source = a + row;
    float* strips = target + row * depth;
    for (int64_t k = 0; k < depth; k++, source += aStep, strips += stripRows)
      THALWEG_UNROLL for (int s = 0; s < kTogether; s++)
        memcpy(strips + s * stripRows * depth, source + s * stripRows, stripRows * sizeof(float));
  }
  for (; row < rows; row += stripRows) {
    int64_t count = lesser(rows - row, stripRows);
    for (int64_t k = 0; k < depth; k++)
      for (int64_t i = 0; i < count; i++) target[row * depth + k * count + i] = a[k * aStep + row + i];
  }
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
