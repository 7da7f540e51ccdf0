// Reductions of neighbouring axes: sum, max, argmax; and of everything: sumOfSquares.
//
// A tensor is seen as x[outer, reduced, inner]; y[outer, inner] combines the `reduced` elements that share the other
// two indices. Sums are rounded, so their order is part of the result and depends on the shape alone:
//   inner == 1  a row is cut into blocks of kBlockElements. In a block, lane l of sixteen adds the elements
//               l, l + 16, l + 32, … and the lanes meet in a fixed tree. The sums of a row's blocks are added
//               in the same way.
//   inner > 1   the rows are cut into blocks of kBlockRows. In a block each column adds its rows in ascending order,
//               and so are the sums of the blocks added.
// A result that spans several blocks passes through `shared` and is completed by `finish`.
#include "kernel.h"

#include <stdio.h>

#include "../simd/simd.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

constexpr int64_t kBlockElements = 16384;
constexpr int64_t kBlockRows = 256;
// How columns are dealt out to threads and cut to fit the L1 cache. Results do not depend on it.
constexpr int64_t kTileColumns = 512;
constexpr int64_t kNarrow = 16;

struct Sum {
  static constexpr const char* name = "sum";
  static constexpr float identity = 0.0f;
  static constexpr double nanosecondsEach = kWidth == 1 ? 0.15 : kWidth == 4 ? 0.12 : 0.06;
  THALWEG_INLINE Float combine(Float total, Float x) { return total + x; }
  THALWEG_INLINE Lanes16 combine16(Lanes16 total, Lanes16 x) { return add16(total, x); }
  THALWEG_INLINE float fold16(Lanes16 x) { return sum16(x); }
};

// NaN when any element is NaN. NOTE: the running maximum is the second operand, which keeps the test of `x` for NaN
// off the chain from one element to the next.
struct Max {
  static constexpr const char* name = "max";
  static constexpr float identity = -__builtin_inff();
  static constexpr double nanosecondsEach = kWidth == 1 ? 2 : kWidth == 4 ? 0.25 : kWidth == 8 ? 0.15 : 0.08;
  THALWEG_INLINE Float combine(Float total, Float x) { return maximum(x, total); }
  THALWEG_INLINE Lanes16 combine16(Lanes16 total, Lanes16 x) { return max16(x, total); }
  THALWEG_INLINE float fold16(Lanes16 x) { return maximum16(x); }
};

// Work is dealt out in units: one block of one row (inner == 1), or one tile of columns of one block of rows.
struct Reduction {
  int64_t outer, reduced, inner;
  int64_t blocks;  // per row, or per column
  int64_t tiles;   // per row of columns
  int64_t units, unitsPerChunk;
};

// Chunks of about 16 to 128 thousand elements, four for each thread when there is enough to do.
void chooseChunks(Preparation* preparation, Reduction* reduction, int64_t unitElements) {
  int64_t total = reduction->units * unitElements;
  int64_t elements = total / (4 * preparation->threads);
  elements = elements < 16384 ? 16384 : elements > 131072 ? 131072 : elements;
  reduction->unitsPerChunk = unitElements >= elements ? 1 : elements / (unitElements > 0 ? unitElements : 1);
  preparation->instruction->chunks = quotientUp(reduction->units, reduction->unitsPerChunk);
}

// The extents before, in and after the axes [start, end) of x.
bool measure(Preparation* preparation, const char* kernel, double start, double end, Reduction* reduction) {
  const Instruction* instruction = preparation->instruction;
  if (instruction->inputCount != 1 || instruction->outputCount != 1)
    return fail(preparation, kernel, "expected one input and one output");
  const Operand& x = instruction->inputs[0];
  if (x.dtype != Dtype::float32) return fail(preparation, kernel, "expected a float32 input");
  if (!(start >= 0 && start <= end && end <= (double)x.rank)) {
    snprintf(preparation->error, sizeof preparation->error, "%s: expected axes within 0 … %lld, got [%g, %g)", kernel,
             (long long)x.rank, start, end);
    return false;
  }
  reduction->outer = reduction->reduced = reduction->inner = 1;
  for (int64_t axis = 0; axis < x.rank; axis++) {
    int64_t& extent = axis < (int64_t)start ? reduction->outer : axis < (int64_t)end ? reduction->reduced : reduction->inner;
    extent *= x.shape[axis];
  }
  int64_t expected = reduction->outer * reduction->inner, got = instruction->outputs[0].size;
  if (got != expected) {
    snprintf(preparation->error, sizeof preparation->error, "%s: expected an output of %lld elements, got %lld", kernel,
             (long long)expected, (long long)got);
    return false;
  }
  return true;
}

template <class Op>
bool prepareReduction(Preparation* preparation) {
  Reduction* r = (Reduction*)preparation->instruction->parameters;
  const Attributes* attributes = preparation->attributes;
  if (!measure(preparation, Op::name, attributeNumber(attributes, "start", 0), attributeNumber(attributes, "end", 0), r))
    return false;
  if (preparation->instruction->outputs[0].dtype != Dtype::float32)
    return fail(preparation, Op::name, "expected a float32 output");
  int64_t blockLength = r->inner == 1 ? kBlockElements : kBlockRows;
  r->blocks = r->reduced > blockLength ? quotientUp(r->reduced, blockLength) : 1;
  r->tiles = quotientUp(r->inner, kTileColumns);
  r->units = r->outer * r->blocks * r->tiles;
  chooseChunks(preparation, r, lesser(r->reduced, blockLength) * lesser(r->inner, kTileColumns));
  if (r->blocks > 1) preparation->sharedBytes = r->outer * r->blocks * r->inner * (int64_t)sizeof(float);
  double elements = (double)r->outer * (double)r->reduced * (double)r->inner;
  preparation->nanoseconds = 20 + (double)r->units * 3 + elements * Op::nanosecondsEach;
  return true;
}

// y[s] = the combined n elements at x + s * stride, for the first `count` s. Several at once hide the latency of the
// chain in each.
template <class Op, int count>
void foldSegments(float* y, const float* x, int64_t stride, int64_t n) {
  Lanes16 lanes[count];
  for (int s = 0; s < count; s++) lanes[s] = splat16(Op::identity);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int s = 0; s < count; s++) lanes[s] = Op::combine16(lanes[s], load16(x + s * stride + i));
  if (i < n) {
    int rest = (int)(n - i);
    alignas(64) static const int32_t position[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int s = 0; s < count; s++) {
      Lanes16 tail = load16Partial(x + s * stride + i, rest);
      for (int part = 0; part < kParts; part++)
        tail.part[part] =
            select(lessInt(loadInt(position + part * kWidth), splatInt(rest)), tail.part[part], splat(Op::identity));
      lanes[s] = Op::combine16(lanes[s], tail);
    }
  }
  for (int s = 0; s < count; s++) y[s] = Op::fold16(lanes[s]);
}

// y[s, c] = column c of the n rows at x + s * stride combined, for the first `count` s; up to sixteen columns, which
// stay in registers.
template <class Op, int count>
void foldNarrowSegments(float* y, const float* x, int64_t stride, int64_t n, int columns) {
  Lanes16 lanes[count];
  for (int s = 0; s < count; s++) lanes[s] = splat16(Op::identity);
  for (int64_t row = 0; row < n; row++)
    for (int s = 0; s < count; s++) lanes[s] = Op::combine16(lanes[s], load16Partial(x + s * stride + row * columns, columns));
  for (int s = 0; s < count; s++) store16Partial(y + s * columns, lanes[s], columns);
}

constexpr int kSegments = kWidth == 1 ? 1 : kWidth / 2;

template <class Op, int count>
THALWEG_INLINE void fold(const Reduction& r, float* y, const float* x, int64_t stride, int64_t n) {
  if (r.inner == 1)
    foldSegments<Op, count>(y, x, stride, n);
  else
    foldNarrowSegments<Op, count>(y, x, stride * r.inner, n, (int)r.inner);
}

// Units are blocks of rows, or of narrow columns; unit u is block u % blocks of row u / blocks.
template <class Op>
void reduceSegments(const Reduction& r, const float* x, float* y, int64_t from, int64_t to) {
  if (r.blocks == 1) {
    int64_t stride = r.reduced * r.inner;
    for (; from + kSegments <= to; from += kSegments)
      fold<Op, kSegments>(r, y + from * r.inner, x + from * stride, r.reduced, r.reduced);
    for (; from < to; from++) fold<Op, 1>(r, y + from * r.inner, x + from * stride, 0, r.reduced);
    return;
  }
  int64_t length = r.inner == 1 ? kBlockElements : kBlockRows;
  int64_t row = from / r.blocks, block = from % r.blocks;
  while (from < to) {
    const float* source = x + (row * r.reduced + block * length) * r.inner;
    int64_t left = r.reduced - block * length;  // in this row
    int64_t taken = 1;
    if (from + kSegments <= to && left >= kSegments * length) {
      fold<Op, kSegments>(r, y + from * r.inner, source, length, length);
      taken = kSegments;
    } else {
      fold<Op, 1>(r, y + from * r.inner, source, 0, lesser(left, length));
    }
    from += taken;
    block += taken;
    if (block == r.blocks) block = 0, row++;
  }
}

// Combines `count` rows of x into the columns of y, which `fresh` says to start anew.
template <class Op, int count>
void foldRows(float* y, const float* x, int64_t stride, int64_t columns, bool fresh) {
  int64_t c = 0;
  for (; c + kWidth <= columns; c += kWidth) {
    Float total = fresh ? splat(Op::identity) : load(y + c);
    for (int row = 0; row < count; row++) total = Op::combine(total, load(x + row * stride + c));
    store(y + c, total);
  }
  if (c < columns) {
    int rest = (int)(columns - c);
    Float total = fresh ? splat(Op::identity) : loadPartial(y + c, rest);
    for (int row = 0; row < count; row++) total = Op::combine(total, loadPartial(x + row * stride + c, rest));
    storePartial(y + c, total, rest);
  }
}

template <class Op>
void reduceColumns(float* y, const float* x, int64_t stride, int64_t rows, int64_t columns) {
  if (rows == 0) return foldRows<Op, 0>(y, x, stride, columns, true);
  int64_t row = 0;
  for (; row + 8 <= rows; row += 8) foldRows<Op, 8>(y, x + row * stride, stride, columns, row == 0);
  for (; row < rows; row++) foldRows<Op, 1>(y, x + row * stride, stride, columns, row == 0);
}

template <class Op>
void runReduction(const Instruction* instruction, int64_t chunk, void*) {
  const Reduction& r = *(const Reduction*)instruction->parameters;
  const float* x = (const float*)instruction->inputs[0].data;
  float* y = r.blocks > 1 ? instruction->shared : (float*)instruction->outputs[0].data;
  int64_t from = chunk * r.unitsPerChunk, to = lesser(from + r.unitsPerChunk, r.units);
  if (r.inner <= kNarrow) return reduceSegments<Op>(r, x, y, from, to);
  for (int64_t unit = from; unit < to; unit++) {
    int64_t outerAndBlock = unit / r.tiles;
    int64_t column = unit % r.tiles * kTileColumns;
    int64_t outer = outerAndBlock / r.blocks, row = outerAndBlock % r.blocks * kBlockRows;
    reduceColumns<Op>(y + outerAndBlock * r.inner + column, x + (outer * r.reduced + row) * r.inner + column, r.inner,
                      lesser(r.reduced - row, kBlockRows), lesser(r.inner - column, kTileColumns));
  }
}

// shared[outer, blocks, inner] -> y[outer, inner]
template <class Op>
Outcome finishReduction(const Instruction* instruction) {
  const Reduction& r = *(const Reduction*)instruction->parameters;
  if (r.blocks == 1) return Outcome::proceed;
  float* y = (float*)instruction->outputs[0].data;
  for (int64_t outer = 0; outer < r.outer; outer++) {
    const float* partial = instruction->shared + outer * r.blocks * r.inner;
    if (r.inner == 1)
      foldSegments<Op, 1>(y + outer, partial, 0, r.blocks);
    else
      reduceColumns<Op>(y + outer * r.inner, partial, r.inner, r.blocks, r.inner);
  }
  return Outcome::proceed;
}

// y[o, i] = the smallest r for which x[o, r, i] is NaN, or else is the maximum. Nothing is rounded, so any order will do.
bool prepareArgmax(Preparation* preparation) {
  Reduction* r = (Reduction*)preparation->instruction->parameters;
  double axis = attributeNumber(preparation->attributes, "axis", 0);
  if (!measure(preparation, "argmax", axis, axis + 1, r)) return false;
  const Operand& y = preparation->instruction->outputs[0];
  if (y.dtype != Dtype::int32) return fail(preparation, "argmax", "expected an int32 output");
  if (r->reduced == 0 && y.size > 0) return fail(preparation, "argmax", "expected at least one element along the axis, got none");
  if (r->reduced > INT32_MAX) return fail(preparation, "argmax", "the axis is too long for int32 indices");
  r->blocks = 1;
  r->tiles = quotientUp(r->inner, kTileColumns);
  r->units = r->outer * r->tiles;
  chooseChunks(preparation, r, r->reduced * lesser(r->inner, kTileColumns));
  double elements = (double)r->outer * (double)r->reduced * (double)r->inner;
  preparation->nanoseconds = 20 + (double)r->units * 15 + elements * (kWidth == 1 ? 1.5 : 0.25);
  return true;
}

// Whether x beats the best so far when it comes later in the row.
bool beats(float x, float best) { return x > best || (x != x && best == best); }
THALWEG_INLINE Mask beats(Float x, Float best) {
  return orMask(greater(x, best), andMask(isNan(x), notMask(isNan(best))));
}

int32_t argmaxOfRow(const float* x, int64_t n) {
  float best = x[0];
  int64_t bestIndex = 0, i = 1;
  if (kWidth > 1 && n >= 32) {
    alignas(64) float values[kWidth];
    alignas(64) int32_t indices[kWidth];
    for (int lane = 0; lane < kWidth; lane++) indices[lane] = lane;
    Int position = loadInt(indices), bestPosition = position;
    Float bestValue = load(x);
    for (i = kWidth; i + kWidth <= n; i += kWidth) {
      position = position + splatInt(kWidth);
      Float value = load(x + i);
      Mask better = beats(value, bestValue);
      bestValue = select(better, value, bestValue);
      bestPosition = selectInt(better, position, bestPosition);
    }
    store(values, bestValue);
    storeInt(indices, bestPosition);
    best = values[0], bestIndex = indices[0];
    for (int lane = 1; lane < kWidth; lane++) {
      bool asGood = values[lane] == best || (values[lane] != values[lane] && best != best);
      if (beats(values[lane], best) || (asGood && indices[lane] < bestIndex)) best = values[lane], bestIndex = indices[lane];
    }
  }
  for (; i < n; i++)
    if (beats(x[i], best)) best = x[i], bestIndex = i;
  return (int32_t)bestIndex;
}

void argmaxOfColumns(int32_t* y, const float* x, int64_t stride, int64_t rows, int64_t columns) {
  for (int64_t c = 0; c < columns; c += kWidth) {
    int lanes = (int)lesser(columns - c, kWidth);
    Float best = loadPartial(x + c, lanes);
    Int index = splatInt(0);
    for (int64_t row = 1; row < rows; row++) {
      Float value = lanes == kWidth ? load(x + row * stride + c) : loadPartial(x + row * stride + c, lanes);
      Mask better = beats(value, best);
      best = select(better, value, best);
      index = selectInt(better, splatInt((int32_t)row), index);
    }
    storeIntPartial(y + c, index, lanes);
  }
}

void runArgmax(const Instruction* instruction, int64_t chunk, void*) {
  const Reduction& r = *(const Reduction*)instruction->parameters;
  const float* x = (const float*)instruction->inputs[0].data;
  int32_t* y = (int32_t*)instruction->outputs[0].data;
  int64_t from = chunk * r.unitsPerChunk, to = lesser(from + r.unitsPerChunk, r.units);
  int64_t unit = from;
  // Short rows kWidth at a time, a lane each: one alone is a branch an element.
  if (r.inner == 1 && r.reduced <= 16 && kWidth >= 4) {
    for (; unit + 4 <= to; unit += kWidth) {
      int rows = (int)lesser(to - unit, kWidth);
      Float columns[16];
      loadColumns(columns, x + unit * r.reduced, (int)r.reduced, rows);
      argmaxOfColumns(y + unit, (const float*)columns, kWidth, r.reduced, rows);
    }
  }
  for (; unit < to; unit++) {
    if (r.inner == 1) {
      y[unit] = argmaxOfRow(x + unit * r.reduced, r.reduced);
    } else {
      int64_t outer = unit / r.tiles, column = unit % r.tiles * kTileColumns;
      argmaxOfColumns(y + outer * r.inner + column, x + outer * r.reduced * r.inner + column, r.inner, r.reduced,
                      lesser(r.inner - column, kTileColumns));
    }
  }
}

// sumOfSquares: x0 … xn -> y[]. The elements of all inputs laid end to end are cut into blocks, each summed in sixteen lanes (an
// input begins with the first); the sums of the blocks are added in order, in double precision.
struct SumOfSquares {
  int64_t elements, blocksPerChunk;
};

bool prepareSumOfSquares(Preparation* preparation) {
  Instruction* instruction = preparation->instruction;
  if (instruction->outputCount != 1 || instruction->outputs[0].size != 1 || instruction->outputs[0].dtype != Dtype::float32)
    return fail(preparation, "sumOfSquares", "expected a float32 output of one element");
  SumOfSquares* s = (SumOfSquares*)instruction->parameters;
  for (int64_t i = 0; i < instruction->inputCount; i++) {
    if (instruction->inputs[i].dtype != Dtype::float32) return fail(preparation, "sumOfSquares", "expected float32 inputs");
    s->elements += instruction->inputs[i].size;
  }
  int64_t blocks = quotientUp(s->elements, kBlockElements), each = blocks / (4 * preparation->threads);
  s->blocksPerChunk = each < 1 ? 1 : each > 8 ? 8 : each;
  instruction->chunks = quotientUp(blocks, s->blocksPerChunk);
  preparation->sharedBytes = blocks * (int64_t)sizeof(float);
  preparation->nanoseconds = 20 + (double)instruction->inputCount * 3 + (double)s->elements * (kWidth == 1 ? 0.15 : 0.06);
  return true;
}

Lanes16 addSquares(Lanes16 total, const float* x, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    Lanes16 lanes = n - i < 16 ? load16Partial(x + i, (int)(n - i)) : load16(x + i);
    THALWEG_UNROLL for (int k = 0; k < kParts; k++) lanes.part[k] = lanes.part[k] * lanes.part[k];
    total = add16(total, lanes);
  }
  return total;
}

void runSumOfSquares(const Instruction* instruction, int64_t chunk, void*) {
  const SumOfSquares& s = *(const SumOfSquares*)instruction->parameters;
  int64_t first = chunk * s.blocksPerChunk, end = lesser(first + s.blocksPerChunk, quotientUp(s.elements, kBlockElements));
  for (int64_t block = first; block < end; block++) {
    Lanes16 total = zero16();
    forPieces(instruction, block * kBlockElements, kBlockElements,
              [&](const Operand& x, int64_t from, int64_t n) { total = addSquares(total, (const float*)x.data + from, n); });
    instruction->shared[block] = sum16(total);
  }
}

Outcome finishSumOfSquares(const Instruction* instruction) {
  const SumOfSquares& s = *(const SumOfSquares*)instruction->parameters;
  double total = 0;
  for (int64_t block = 0; block < quotientUp(s.elements, kBlockElements); block++) total += (double)instruction->shared[block];
  *(float*)instruction->outputs[0].data = (float)total;
  return Outcome::proceed;
}

const Kernel kernels[] = {
    // name, parameters, prepare, run, finish
    {"sum", sizeof(Reduction), prepareReduction<Sum>, runReduction<Sum>, finishReduction<Sum>},  // x -> y, 0 for nothing
    {"sumOfSquares", sizeof(SumOfSquares), prepareSumOfSquares, runSumOfSquares, finishSumOfSquares},  // x0 … -> y
    {"max", sizeof(Reduction), prepareReduction<Max>, runReduction<Max>, finishReduction<Max>},  // x -> y, -inf for nothing
    {"argmax", sizeof(Reduction), prepareArgmax, runArgmax, nullptr},                            // x -> int32 y
};

}  // namespace

extern const KernelFamily reduceFamily;
const KernelFamily reduceFamily = {kernels, sizeof kernels / sizeof kernels[0]};

}  // namespace THALWEG_ISA
}  // namespace thalweg
