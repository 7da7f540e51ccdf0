// What many kernel files need: arithmetic of extents, chunks, refusals, runs of elements.
//
// NOTE: everything is `static`, and this header is for kernel files alone: see simd.h.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../simd/simd.h"
#include "kernel.h"

// For loops over the rows and vectors of a tile, whose counters must not exist at run time.
#if defined(__clang__)
#define THALWEG_UNROLL _Pragma("clang loop unroll(full)")
#else
#define THALWEG_UNROLL _Pragma("GCC unroll 16")
#endif

namespace thalweg {
namespace THALWEG_ISA {

constexpr int64_t kFloatsInL2 = 256 * 1024;  // what is larger does not stay in the L2 cache beside what is worked on

#if defined(THALWEG_ISA_AVX512) || defined(THALWEG_ISA_AVX2)
constexpr int kSquare = 8;  // rows and columns of what a product transposes in registers
#elif defined(THALWEG_ISA_NEON)
constexpr int kSquare = 4;
#else
constexpr int kSquare = 1;
#endif

THALWEG_INLINE int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
THALWEG_INLINE int64_t greaterOf(int64_t a, int64_t b) { return a > b ? a : b; }
THALWEG_INLINE int64_t quotientUp(int64_t a, int64_t b) { return (a + b - 1) / b; }
THALWEG_INLINE int64_t roundedUp(int64_t a, int64_t multiple) { return quotientUp(a, multiple) * multiple; }

// For `prepare`: return fail(preparation, "softmax", "expected ...").
static inline bool fail(Preparation* preparation, const char* kernel, const char* message) {
  snprintf(preparation->error, sizeof preparation->error, "%s: %s", kernel, message);
  return false;
}

// Chunks of 16 to 128 thousand elements, whole cache lines, four for each thread when there is enough to do. Returns how
// many elements each has.
static inline int64_t chooseElementChunks(Preparation* preparation, int64_t elements) {
  int64_t each = quotientUp(elements, 4 * preparation->threads);
  each = each < 16384 ? 16384 : each > 131072 ? 131072 : roundedUp(each, 16);
  preparation->instruction->chunks = quotientUp(elements, each);
  return each;
}

// While a thread is at `chunk`, the thread after it is probably at the chunk returned, as far in its own share. -1: it has no such chunk.
static inline int64_t chunkOfNextThread(int64_t chunk, int64_t chunks, int64_t threads) {
  if (threads < 2) return -1;
  const int64_t thread = ((chunk + 1) * threads - 1) / chunks;  // the one in whose share it is
  const int64_t next = (thread + 1) % threads;
  const int64_t theirs = firstOfShare(chunks, next, threads) + chunk - firstOfShare(chunks, thread, threads);
  return theirs < firstOfShare(chunks, next + 1, threads) ? theirs : -1;
}

// Calls visit(input, first element, elements) for what lies in `count` elements from `from` on, all inputs of an instruction being laid end to end.
template <class Visit>
THALWEG_INLINE void forPieces(const Instruction* instruction, int64_t from, int64_t count, Visit visit) {
  for (int64_t i = 0; i < instruction->inputCount && count > 0; i++) {
    const Operand& x = instruction->inputs[i];
    if (from >= x.size) {
      from -= x.size;
      continue;
    }
    int64_t n = lesser(count, x.size - from);
    visit(x, from, n);
    count -= n;
    from = 0;
  }
}

// n neighbours of 32 bits each, floats or not. Where x and y overlap, y is undefined, but the behaviour is not.
THALWEG_INLINE void copyRun(int32_t* y, const int32_t* x, int64_t n) {
  if (n >= 512) {
    memmove(y, x, (size_t)n * sizeof *y);
    return;
  }
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) storeInt(y + i, loadInt(x + i));
  if (i < n) storeIntPartial(y + i, loadIntPartial(x + i, (int)(n - i)), (int)(n - i));
}

THALWEG_INLINE void fillRun(int32_t* y, int32_t value, int64_t n) {
  Int values = splatInt(value);
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) storeInt(y + i, values);
  if (i < n) storeIntPartial(y + i, values, (int)(n - i));
}

// Rows of up to sixteen elements are worked on kWidth at a time, a lane each: lane r of columns[c] is element c of row r.
// `rows` of them exist; the other lanes are read as 0.
THALWEG_INLINE void loadColumns(Float (&columns)[16], const float* x, int n, int rows) {
  for (int first = 0; first < n; first += kWidth) {
    int lanes = n - first < kWidth ? n - first : kWidth;
    Float square[kWidth];
    THALWEG_UNROLL for (int row = 0; row < kWidth; row++)
      square[row] = row < rows ? loadPartial(x + row * n + first, lanes) : splat(0.0f);
    transpose(square);
    THALWEG_UNROLL for (int c = 0; c < kWidth; c++) columns[first + c] = square[c];
  }
}

THALWEG_INLINE void storeColumns(float* y, const Float (&columns)[16], int n, int rows) {
  for (int first = 0; first < n; first += kWidth) {
    int lanes = n - first < kWidth ? n - first : kWidth;
    Float square[kWidth];
    THALWEG_UNROLL for (int c = 0; c < kWidth; c++) square[c] = columns[first + c];
    transpose(square);
    THALWEG_UNROLL for (int row = 0; row < kWidth; row++)
      if (row < rows) storePartial(y + row * n + first, square[row], lanes);
  }
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
