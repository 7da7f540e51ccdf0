// What a step is fed with: rows of data, in an order that hardware cannot guess.
#include "kernel.h"

#include "../simd/simd.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

constexpr int64_t kAhead = 128;  // numbers of the target, which other cores have read: their lines are fetched for writing

// Rows picked one after the other would each begin with waiting for memory. Side by side, a vector of each at a time, they wait together.
THALWEG_INLINE void pickTogether(int32_t* target, const int32_t* source, const int32_t* rows, int64_t n) {
  const int32_t* sources[kPickedTogether];
  for (int64_t row = 0; row < kPickedTogether; row++) sources[row] = source + rows[row] * n;
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    const int64_t ahead = lesser(i + kAhead, n - 1);  // a line behind the last row may be somebody else's
    for (int64_t row = 0; row < kPickedTogether; row++) __builtin_prefetch(target + row * n + ahead, 1);
    THALWEG_UNROLL for (int64_t row = 0; row < kPickedTogether; row++) storeInt(target + row * n + i, loadInt(sources[row] + i));
  }
  if (i == n) return;
  const int rest = (int)(n - i);
  for (int64_t row = 0; row < kPickedTogether; row++) storeIntPartial(target + row * n + i, loadIntPartial(sources[row] + i, rest), rest);
}

// For rows of one or two numbers a loop, or a mask, takes longer than the copy.
template <int64_t width>
THALWEG_INLINE void pickNarrowRows(int32_t* target, const int32_t* source, const int32_t* rows, int64_t count) {
  for (int64_t row = 0; row < count; row++)
    for (int64_t i = 0; i < width; i++) target[row * width + i] = source[rows[row] * width + i];
}

void pick(int32_t* target, const int32_t* source, const int32_t* rows, int64_t count, int64_t n) {
  if (n == 1) return pickNarrowRows<1>(target, source, rows, count);
  if (n == 2) return pickNarrowRows<2>(target, source, rows, count);
  int64_t row = 0;
  for (; row + kPickedTogether <= count; row += kPickedTogether) pickTogether(target + row * n, source, rows + row, n);
  for (; row < count; row++) copyRun(target + row * n, source + rows[row] * n, n);
}

}  // namespace

extern const PickRows pickRows;
const PickRows pickRows = pick;

}  // namespace THALWEG_ISA
}  // namespace thalweg
