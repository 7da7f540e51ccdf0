// Matrix products of so few multiplications that choosing blocks, strips and panels would take longer than the arithmetic.
#pragma once
#include <stdint.h>

namespace thalweg {
namespace THALWEG_ISA {

// y = a b + bias, in the order of summation that matmul.cc states. y is row-major, and so is b.
struct SmallProduct {
  int64_t rows, columns, depth;
  int64_t aRow, aStep;  // a(i, k) is at i * aRow + k * aStep
  int64_t bStep;        // b(k, j) is at k * bStep + j
  bool oneBias;         // the same for all columns
};

// Whether this is the faster way.
bool isSmall(const SmallProduct& product);

// bias: null, or as many as there are columns, or one. y aliases nothing.
void multiplySmall(const SmallProduct& product, const float* a, const float* b, const float* bias, float* y);

}  // namespace THALWEG_ISA
}  // namespace thalweg
