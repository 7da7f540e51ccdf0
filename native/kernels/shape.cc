// Kernels that move elements without looking at them: transpose, broadcastTo, slice, flip, pad, concat.
//
// Elements are 4 bytes of any kind; their bits are kept. The output is always written in its own order, so a chunk is
// a range of output elements, whatever the shape. Inputs and outputs do not overlap.
#include "kernel.h"

#include <stdio.h>

#include "../simd/simd.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

constexpr int kMaxRank = 8;

// How the output is read from the input, one axis of the output per entry. The input covers the window
// [low, low + count) of each axis and is zero outside of it; `stride` is the input's step in elements, negative where it is read backwards.
// Axes that lie behind one another in both tensors are merged, and there are always at least two.
struct Axis {
  int64_t extent, low, count, stride;
};
struct Walk {
  Axis axes[kMaxRank + 1];
  int rank;
  int64_t offset;             // of the window's first element in the input
  int64_t elementsPerChunk;
};

bool expectOneOfEach(Preparation* preparation, const char* kernel) {
  const Instruction* instruction = preparation->instruction;
  if (instruction->inputCount != 1 || instruction->outputCount != 1)
    return fail(preparation, kernel, "expected one input and one output");
  if (instruction->inputs[0].dtype != instruction->outputs[0].dtype)
    return fail(preparation, kernel, "expected input and output of one dtype");
  if (instruction->inputs[0].rank > kMaxRank || instruction->outputs[0].rank > kMaxRank)
    return fail(preparation, kernel, "expected at most 8 axes");
  return true;
}

// One list of numbers with an entry per axis of y, each from 0 to 2^53.
const double* expectNumbers(Preparation* preparation, const char* kernel, const char* name) {
  int64_t count = 0, rank = preparation->instruction->outputs[0].rank;
  const double* numbers = attributeNumbers(preparation->attributes, name, &count);
  bool good = count == rank;
  for (int64_t i = 0; good && i < rank; i++) good = numbers[i] >= 0 && numbers[i] <= 9007199254740992.0;
  static const double none = 0;
  if (good) return rank > 0 ? numbers : &none;
  snprintf(preparation->error, sizeof preparation->error, "%s: expected \"%s\" to be %lld numbers, none negative", kernel, name,
           (long long)rank);
  return nullptr;
}

// Row-major strides of an operand's shape.
void stridesOf(const Operand& x, int64_t* strides) {
  int64_t stride = 1;
  for (int64_t axis = x.rank - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= x.shape[axis];
  }
}

// Drops and merges axes. `axis` and the one before it are one when stepping out of the first lands where the second
// steps to, and the first is all inside its window.
void simplify(Walk* walk) {
  int kept = 0;
  for (int i = 0; i < walk->rank; i++) {
    Axis axis = walk->axes[i];
    if (axis.extent == 1 && axis.count == 1) continue;
    Axis* before = kept > 0 ? &walk->axes[kept - 1] : nullptr;
    if (before && axis.low == 0 && axis.count == axis.extent && before->stride == axis.extent * axis.stride) {
      *before = {before->extent * axis.extent, before->low * axis.extent, before->count * axis.extent, axis.stride};
    } else {
      walk->axes[kept++] = axis;
    }
  }
  // A scalar is a run of one element.
  if (kept == 0) walk->axes[kept++] = {1, 0, 1, 1};
  if (kept == 1) {
    walk->axes[1] = walk->axes[0];
    walk->axes[0] = {1, 0, 1, 0};
    kept = 2;
  }
  walk->rank = kept;
}

// Ends every `prepare` that walks: axes as they come in, one for each axis of y.
bool prepareWalk(Preparation* preparation, Walk* walk) {
  simplify(walk);
  int64_t size = preparation->instruction->outputs[0].size;
  walk->elementsPerChunk = chooseElementChunks(preparation, size);
  int64_t run = walk->axes[walk->rank - 1].extent;
  preparation->nanoseconds = 20 + (double)size * 0.1 + (run > 0 ? (double)(size / run) * 2 : 0);
  return true;
}

// Output elements [from, to) of one run, counted from its beginning, which is `y`; the run's window begins at `x`.
// A run is the last axis: neighbours in x, one element repeated, or (a slice of a single column) steps.
THALWEG_INLINE void copyWindow(int32_t* y, const int32_t* x, const Axis& run, int64_t from, int64_t to) {
  if (run.count != run.extent) {
    int64_t low = run.low < from ? from : lesser(run.low, to);
    int64_t end = run.low + run.count;
    int64_t high = end < low ? low : lesser(end, to);
    fillRun(y + from, 0, low - from);
    fillRun(y + high, 0, to - high);
    from = low, to = high;
  }
  if (run.stride == 1)
    copyRun(y + from, x + from - run.low, to - from);
  else if (run.stride == 0)
    fillRun(y + from, from < to ? *x : 0, to - from);
  else
    for (int64_t i = from; i < to; i++) y[i] = x[(i - run.low) * run.stride];
}

// y[i0, i1, …] = x[offset + sum of (i - low) * stride] inside the window, 0 outside, for the output elements
// [from, to).
void walk(const Walk& w, int32_t* y, const int32_t* x, int64_t from, int64_t to) {
  const Axis& run = w.axes[w.rank - 1];
  const Axis& rows = w.axes[w.rank - 2];
  int64_t index[kMaxRank + 1];
  int64_t rest = from / run.extent, offset = from % run.extent;
  for (int i = w.rank - 2; i >= 0; i--) {
    index[i] = rest % w.axes[i].extent;
    rest /= w.axes[i].extent;
  }
  while (from < to) {
    const int32_t* plane = x + w.offset;
    bool inside = true;
    for (int i = 0; i < w.rank - 2; i++) {
      int64_t position = index[i] - w.axes[i].low;
      inside = inside && position >= 0 && position < w.axes[i].count;
      if (inside) plane += position * w.axes[i].stride;
    }
    for (int64_t row = index[w.rank - 2]; row < rows.extent && from < to; row++) {
      int64_t n = lesser(run.extent - offset, to - from);
      int64_t position = row - rows.low;
      if (inside && position >= 0 && position < rows.count)
        copyWindow(y + from - offset, plane + position * rows.stride, run, offset, offset + n);
      else
        fillRun(y + from, 0, n);
      from += n;
      offset = 0;
    }
    index[w.rank - 2] = 0;
    for (int i = w.rank - 3; i >= 0 && ++index[i] == w.axes[i].extent; i--) index[i] = 0;
  }
}

void runWalk(const Instruction* instruction, int64_t chunk, void*) {
  const Walk& w = *(const Walk*)instruction->parameters;
  const Operand& y = instruction->outputs[0];
  int64_t from = chunk * w.elementsPerChunk;
  walk(w, (int32_t*)y.data, (const int32_t*)instruction->inputs[0].data, from, lesser(from + w.elementsPerChunk, y.size));
}

// y[…, i, …] = x[…, x's extent is 1 ? 0 : i, …], shapes aligned at the right
bool prepareBroadcastTo(Preparation* preparation) {
  Walk* w = (Walk*)preparation->instruction->parameters;
  if (!expectOneOfEach(preparation, "broadcastTo")) return false;
  const Operand& x = preparation->instruction->inputs[0];
  const Operand& y = preparation->instruction->outputs[0];
  if (x.rank > y.rank) return fail(preparation, "broadcastTo", "the input has more axes than the output");
  int64_t strides[kMaxRank];
  stridesOf(x, strides);
  w->rank = (int)y.rank;
  for (int64_t i = 0; i < y.rank; i++) {
    int64_t j = i - (y.rank - x.rank);
    int64_t extent = j < 0 ? 1 : x.shape[j];
    if (extent != 1 && extent != y.shape[i]) {
      snprintf(preparation->error, sizeof preparation->error, "broadcastTo: expected axis %lld of the input to have extent 1 or %lld, got %lld",
               (long long)j, (long long)y.shape[i], (long long)extent);
      return false;
    }
    w->axes[i] = {y.shape[i], 0, y.shape[i], extent == 1 ? 0 : strides[j]};
  }
  return prepareWalk(preparation, w);
}

// y[i, j, …] = x[starts[0] + i, starts[1] + j, …]
bool prepareSlice(Preparation* preparation) {
  Walk* w = (Walk*)preparation->instruction->parameters;
  if (!expectOneOfEach(preparation, "slice")) return false;
  const Operand& x = preparation->instruction->inputs[0];
  const Operand& y = preparation->instruction->outputs[0];
  if (x.rank != y.rank) return fail(preparation, "slice", "expected input and output of one rank");
  const double* starts = expectNumbers(preparation, "slice", "starts");
  if (!starts) return false;
  int64_t strides[kMaxRank];
  stridesOf(x, strides);
  w->rank = (int)y.rank;
  for (int64_t i = 0; i < y.rank; i++) {
    int64_t start = (int64_t)starts[i];
    if (start + y.shape[i] > x.shape[i]) {
      snprintf(preparation->error, sizeof preparation->error, "slice: axis %lld has extent %lld, which does not hold %lld elements from %lld",
               (long long)i, (long long)x.shape[i], (long long)y.shape[i], (long long)start);
      return false;
    }
    w->offset += start * strides[i];
    w->axes[i] = {y.shape[i], 0, y.shape[i], strides[i]};
  }
  return prepareWalk(preparation, w);
}

// y[…, i, …] = x[…, extent - 1 - i, …] along the axes given
bool prepareFlip(Preparation* preparation) {
  Walk* w = (Walk*)preparation->instruction->parameters;
  if (!expectOneOfEach(preparation, "flip")) return false;
  const Operand& x = preparation->instruction->inputs[0];
  const Operand& y = preparation->instruction->outputs[0];
  if (x.rank != y.rank || x.size != y.size) return fail(preparation, "flip", "expected input and output of one shape");
  int64_t strides[kMaxRank], count = 0;
  stridesOf(x, strides);
  const double* axes = attributeNumbers(preparation->attributes, "axes", &count);
  w->rank = (int)y.rank;
  for (int64_t i = 0; i < y.rank; i++) w->axes[i] = {y.shape[i], 0, y.shape[i], strides[i]};
  for (int64_t k = 0; k < count; k++) {
    int64_t i = (int64_t)axes[k];
    if (!(axes[k] >= 0) || i >= y.rank || w->axes[i].stride < 0) return fail(preparation, "flip", "expected axes of the input, each once");
    w->offset += (y.shape[i] - 1) * strides[i];
    w->axes[i].stride = -strides[i];
  }
  return prepareWalk(preparation, w);
}

// y[before[0] + i, before[1] + j, …] = x[i, j, …], zeros elsewhere
bool preparePad(Preparation* preparation) {
  Walk* w = (Walk*)preparation->instruction->parameters;
  if (!expectOneOfEach(preparation, "pad")) return false;
  const Operand& x = preparation->instruction->inputs[0];
  const Operand& y = preparation->instruction->outputs[0];
  if (x.rank != y.rank) return fail(preparation, "pad", "expected input and output of one rank");
  const double* before = expectNumbers(preparation, "pad", "before");
  if (!before) return false;
  int64_t strides[kMaxRank];
  stridesOf(x, strides);
  w->rank = (int)y.rank;
  for (int64_t i = 0; i < y.rank; i++) {
    int64_t low = (int64_t)before[i];
    if (low + x.shape[i] > y.shape[i]) {
      snprintf(preparation->error, sizeof preparation->error, "pad: axis %lld has extent %lld, which does not hold %lld elements from %lld",
               (long long)i, (long long)y.shape[i], (long long)x.shape[i], (long long)low);
      return false;
    }
    w->axes[i] = {y.shape[i], low, x.shape[i], strides[i]};
  }
  return prepareWalk(preparation, w);
}

// Squares that are turned in registers: y[j, i] = x[i, j] for 0 <= i, j < kSquare. Strides are in elements.
#if defined(THALWEG_ISA_AVX2) || defined(THALWEG_ISA_AVX512)
constexpr int kSquare = 8;
THALWEG_INLINE void turnSquare(int32_t* y, int64_t yStride, const int32_t* x, int64_t xStride) {
  __m256 row[8], pair[8];
  // Rows k and k + 4 share a register, so that the two halves need no exchange at the end.
  for (int k = 0; k < 4; k++) {
    const float* top = (const float*)(x + k * xStride);
    const float* bottom = (const float*)(x + (k + 4) * xStride);
    row[k] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(top)), _mm_loadu_ps(bottom), 1);
    row[k + 4] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(top + 4)), _mm_loadu_ps(bottom + 4), 1);
  }
  for (int half = 0; half < 8; half += 4) {
    pair[half] = _mm256_unpacklo_ps(row[half], row[half + 1]);
    pair[half + 1] = _mm256_unpackhi_ps(row[half], row[half + 1]);
    pair[half + 2] = _mm256_unpacklo_ps(row[half + 2], row[half + 3]);
    pair[half + 3] = _mm256_unpackhi_ps(row[half + 2], row[half + 3]);
    float* column = (float*)(y + half * yStride);
    _mm256_storeu_ps(column, _mm256_shuffle_ps(pair[half], pair[half + 2], 0x44));
    _mm256_storeu_ps(column + yStride, _mm256_shuffle_ps(pair[half], pair[half + 2], 0xee));
    _mm256_storeu_ps(column + 2 * yStride, _mm256_shuffle_ps(pair[half + 1], pair[half + 3], 0x44));
    _mm256_storeu_ps(column + 3 * yStride, _mm256_shuffle_ps(pair[half + 1], pair[half + 3], 0xee));
  }
}
#elif defined(THALWEG_ISA_NEON)
constexpr int kSquare = 4;
THALWEG_INLINE void turnSquare(int32_t* y, int64_t yStride, const int32_t* x, int64_t xStride) {
  int32x4x2_t upper = vtrnq_s32(vld1q_s32(x), vld1q_s32(x + xStride));
  int32x4x2_t lower = vtrnq_s32(vld1q_s32(x + 2 * xStride), vld1q_s32(x + 3 * xStride));
  for (int k = 0; k < 2; k++) {
    vst1q_s32(y + k * yStride, vcombine_s32(vget_low_s32(upper.val[k]), vget_low_s32(lower.val[k])));
    vst1q_s32(y + (k + 2) * yStride, vcombine_s32(vget_high_s32(upper.val[k]), vget_high_s32(lower.val[k])));
  }
}
#else
constexpr int kSquare = 4;
THALWEG_INLINE void turnSquare(int32_t* y, int64_t yStride, const int32_t* x, int64_t xStride) {
  for (int j = 0; j < 4; j++)
    for (int i = 0; i < 4; i++) y[j * yStride + i] = x[i * xStride + j];
}
#endif

// The transposition of the two axes that matter: `columns` runs along the input (stride 1), `rows` along the output.
// Both are cut into tiles, and the remaining axes are stepped through from outside.
constexpr int64_t kTileRows = 64, kTileColumns = 32;
struct Turn {
  Walk walk;                                // used instead when the last axis stays the last
  bool turns;
  int outerRank;
  int64_t outerExtent[kMaxRank], outerFrom[kMaxRank], outerTo[kMaxRank];  // extent, strides in x and in y
  int64_t rows, rowStride;                  // extent, stride in x
  int64_t columns, columnStride;            // extent, stride in y
  int64_t rowTiles, columnTiles;
  int64_t tilesPerChunk;
};

// y[i…] = x[j…] with i[k] = j[permutation[k]]
bool prepareTranspose(Preparation* preparation) {
  Turn* t = (Turn*)preparation->instruction->parameters;
  if (!expectOneOfEach(preparation, "transpose")) return false;
  const Operand& x = preparation->instruction->inputs[0];
  const Operand& y = preparation->instruction->outputs[0];
  if (x.rank != y.rank) return fail(preparation, "transpose", "expected input and output of one rank");
  const double* permutation = expectNumbers(preparation, "transpose", "permutation");
  if (!permutation) return false;
  int64_t strides[kMaxRank];
  stridesOf(x, strides);
  bool taken[kMaxRank] = {};
  Walk* w = &t->walk;
  w->rank = (int)y.rank;
  for (int64_t i = 0; i < y.rank; i++) {
    int64_t j = permutation[i] < (double)x.rank ? (int64_t)permutation[i] : 0;
    if ((double)j != permutation[i] || taken[j])
      return fail(preparation, "transpose", "expected \"permutation\" to name each axis of the input once");
    taken[j] = true;
    if (y.shape[i] != x.shape[j]) {
      snprintf(preparation->error, sizeof preparation->error, "transpose: expected axis %lld of the output to have extent %lld, got %lld",
               (long long)i, (long long)x.shape[j], (long long)y.shape[i]);
      return false;
    }
    w->axes[i] = {y.shape[i], 0, y.shape[i], strides[j]};
  }
  if (!prepareWalk(preparation, w)) return false;
  const Axis& last = w->axes[w->rank - 1];
  t->turns = last.stride != 1 && y.size > 0;
  if (!t->turns) return true;

  t->rows = last.extent;
  t->rowStride = last.stride;
  // Axes of extent 1 are gone, so exactly one axis steps through neighbours in x.
  int64_t stride = last.extent;
  for (int i = w->rank - 2; i >= 0; i--) {
    const Axis& axis = w->axes[i];
    if (axis.stride == 1) {
      t->columns = axis.extent;
      t->columnStride = stride;
    } else if (axis.extent > 1) {
      t->outerExtent[t->outerRank] = axis.extent;
      t->outerFrom[t->outerRank] = axis.stride;
      t->outerTo[t->outerRank++] = stride;
    }
    stride *= axis.extent;
  }
  t->rowTiles = quotientUp(t->rows, kTileRows);
  t->columnTiles = quotientUp(t->columns, kTileColumns);
  int64_t tiles = y.size / (t->rows * t->columns) * t->rowTiles * t->columnTiles;
  int64_t perTile = quotientUp(y.size, tiles);
  t->tilesPerChunk = quotientUp(chooseElementChunks(preparation, y.size), perTile);
  preparation->instruction->chunks = quotientUp(tiles, t->tilesPerChunk);
  preparation->nanoseconds = 20 + (double)tiles * 10 + (double)y.size * (kWidth == 1 ? 0.35 : 0.25);
  return true;
}

// y[j * yStride + i] = x[i * xStride + j] for i < rows, j < columns. Sixteen rows at a time fill whole cache lines of y,
// and the lines after them are asked for meanwhile: from memory that is twice as fast.
void turnTile(int32_t* y, int64_t yStride, const int32_t* x, int64_t xStride, int64_t rows, int64_t columns) {
  int64_t evenRows = rows / kSquare * kSquare, evenColumns = columns / kSquare * kSquare;
  for (int64_t line = 0; line < evenRows; line += 16)
    for (int64_t j = 0; j < evenColumns; j += kSquare) {
      for (int k = 0; k < kSquare; k++) __builtin_prefetch(y + (j + k) * yStride + line + 16, 1);
      for (int64_t i = line; i < evenRows && i < line + 16; i += kSquare)
        turnSquare(y + j * yStride + i, yStride, x + i * xStride + j, xStride);
    }
  for (int64_t j = 0; j < columns; j++)
    for (int64_t i = j < evenColumns ? evenRows : 0; i < rows; i++) y[j * yStride + i] = x[i * xStride + j];
}

void runTranspose(const Instruction* instruction, int64_t chunk, void* scratch) {
  const Turn& t = *(const Turn*)instruction->parameters;
  if (!t.turns) return runWalk(instruction, chunk, scratch);
  const Operand& output = instruction->outputs[0];
  int64_t tiles = output.size / (t.rows * t.columns) * t.rowTiles * t.columnTiles;
  int64_t from = chunk * t.tilesPerChunk, to = lesser(from + t.tilesPerChunk, tiles);
  for (int64_t tile = from; tile < to; tile++) {
    const int32_t* x = (const int32_t*)instruction->inputs[0].data;
    int32_t* y = (int32_t*)output.data;
    int64_t row = tile % t.rowTiles * kTileRows;
    int64_t rest = tile / t.rowTiles;
    int64_t column = rest % t.columnTiles * kTileColumns;
    rest /= t.columnTiles;
    for (int i = 0; i < t.outerRank; i++) {
      int64_t index = rest % t.outerExtent[i];
      rest /= t.outerExtent[i];
      x += index * t.outerFrom[i];
      y += index * t.outerTo[i];
    }
    turnTile(y + column * t.columnStride + row, t.columnStride, x + row * t.rowStride + column, t.rowStride,
             lesser(t.rows - row, kTileRows), lesser(t.columns - column, kTileColumns));
  }
}

// y = the inputs one after the other along `axis`. Seen as rows of all the axes from `axis` on, a row of y is the same row
// of each input in turn.
struct Concat {
  int64_t axis;
  int64_t inner;             // elements behind one index of the axis
  int64_t row;               // elements of y in a row
  int64_t elementsPerChunk;
};

bool prepareConcat(Preparation* preparation) {
  const Instruction* instruction = preparation->instruction;
  Concat* c = (Concat*)instruction->parameters;
  if (instruction->inputCount < 1 || instruction->outputCount != 1)
    return fail(preparation, "concat", "expected at least one input, and one output");
  const Operand& y = instruction->outputs[0];
  double axis = attributeNumber(preparation->attributes, "axis", 0);
  if (!(axis >= 0 && axis < (double)y.rank)) return fail(preparation, "concat", "the output does not have the axis");
  c->axis = (int64_t)axis;
  int64_t extent = 0;
  for (int64_t k = 0; k < instruction->inputCount; k++) {
    const Operand& x = instruction->inputs[k];
    bool fits = x.rank == y.rank && x.dtype == y.dtype;
    for (int64_t i = 0; fits && i < y.rank; i++) fits = i == c->axis || x.shape[i] == y.shape[i];
    if (!fits) {
      snprintf(preparation->error, sizeof preparation->error, "concat: input %lld must match the output in dtype and all axes but %lld",
               (long long)k, (long long)c->axis);
      return false;
    }
    extent += x.shape[c->axis];
  }
  if (extent != y.shape[c->axis]) return fail(preparation, "concat", "the inputs do not add up to the output");
  c->inner = 1;
  for (int64_t i = c->axis + 1; i < y.rank; i++) c->inner *= y.shape[i];
  c->row = extent * c->inner;
  c->elementsPerChunk = chooseElementChunks(preparation, y.size);
  double runs = c->row > 0 ? (double)(y.size / c->row) * (double)instruction->inputCount : 0;
  preparation->nanoseconds = 20 + (double)y.size * 0.1 + runs * 2;
  return true;
}

void runConcat(const Instruction* instruction, int64_t chunk, void*) {
  const Concat& c = *(const Concat*)instruction->parameters;
  int32_t* y = (int32_t*)instruction->outputs[0].data;
  int64_t from = chunk * c.elementsPerChunk, to = lesser(from + c.elementsPerChunk, instruction->outputs[0].size);
  int64_t row = from / c.row, offset = from % c.row;
  for (; from < to; row++, offset = 0) {
    // `offset` counts down to the place in the input where copying starts.
    for (int64_t k = 0; k < instruction->inputCount && from < to; k++) {
      int64_t length = instruction->inputs[k].shape[c.axis] * c.inner;
      if (offset >= length) {
        offset -= length;
        continue;
      }
      int64_t n = lesser(length - offset, to - from);
      copyRun(y + from, (const int32_t*)instruction->inputs[k].data + row * length + offset, n);
      from += n;
      offset = 0;
    }
  }
}

const Kernel kernels[] = {
    // name, parameters, prepare, run, finish
    {"transpose", sizeof(Turn), prepareTranspose, runTranspose, nullptr},    // x -> y, axes reordered
    {"broadcastTo", sizeof(Walk), prepareBroadcastTo, runWalk, nullptr},     // x -> y, axes repeated
    {"flip", sizeof(Walk), prepareFlip, runWalk, nullptr},                   // x -> y
    {"slice", sizeof(Walk), prepareSlice, runWalk, nullptr},                 // x -> y, a window of x
    {"pad", sizeof(Walk), preparePad, runWalk, nullptr},                     // x -> y, zeros around x
    {"concat", sizeof(Concat), prepareConcat, runConcat, nullptr},           // x0 x1 … -> y
};

}  // namespace

extern const KernelFamily shapeFamily;
const KernelFamily shapeFamily = {kernels, sizeof kernels / sizeof kernels[0]};

}  // namespace THALWEG_ISA
}  // namespace thalweg
