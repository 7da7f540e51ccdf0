#include "smallProduct.h"

#include "../simd/simd.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

constexpr int64_t kMostProducts = kWidth == 16 ? 4096 : kWidth == 8 ? 1024 : 512;
constexpr int kRowsTogether = 4;  // chains of sums that hide each other's latency

// `lanes` columns of `rows` rows of y.
template <int rows>
THALWEG_INLINE void multiplyRows(const SmallProduct& p, const float* a, const float* b, const float* bias, float* y, int lanes) {
  Float sum[rows];
  THALWEG_UNROLL for (int i = 0; i < rows; i++) sum[i] = splat(0.0f);
  for (int64_t k = 0; k < p.depth; k++, a += p.aStep, b += p.bStep) {
    Float row = loadPartial(b, lanes);
    THALWEG_UNROLL for (int i = 0; i < rows; i++) sum[i] = fma(splat(a[i * p.aRow]), row, sum[i]);
  }
  if (bias != nullptr) {
    Float added = p.oneBias ? splat(*bias) : loadPartial(bias, lanes);
    THALWEG_UNROLL for (int i = 0; i < rows; i++) sum[i] = sum[i] + added;
  }
  THALWEG_UNROLL for (int i = 0; i < rows; i++) storePartial(y + i * p.columns, sum[i], lanes);
}

}  // namespace

bool isSmall(const SmallProduct& p) { return p.rows * p.columns * p.depth <= kMostProducts; }

void multiplySmall(const SmallProduct& p, const float* a, const float* b, const float* bias, float* y) {
  for (int64_t column = 0; column < p.columns; column += kWidth) {
    const int lanes = (int)lesser(p.columns - column, kWidth);
    const float* added = bias == nullptr || p.oneBias ? bias : bias + column;
    int64_t row = 0;
    for (; row + kRowsTogether <= p.rows; row += kRowsTogether)
      multiplyRows<kRowsTogether>(p, a + row * p.aRow, b + column, added, y + row * p.columns + column, lanes);
    for (; row < p.rows; row++) multiplyRows<1>(p, a + row * p.aRow, b + column, added, y + row * p.columns + column, lanes);
  }
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
