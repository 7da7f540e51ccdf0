// softmax and its logarithm over the last axis, and the cross-entropy of rows of logits.
//
//   softmax                      y = e / sum(e),  e = exp(x - max(x))
//   logSoftmax                   y = (x - max(x)) - log(sum(e))
//   softmaxCrossEntropy          y = log(sum(e)) - (x[t] - max(x)), one number a row, t the row's label
//   softmaxCrossEntropyGradient  y = (e / sum(e) - [t]) dy, [t] being 1 at the label and 0 elsewhere
//
// x is [rows, columns]; a y of that size may be x itself. The maximum keeps the exponentials at 1 or below, so nothing
// overflows, and -inf gives exactly 0. A row that is -inf throughout, or holds +inf or NaN, becomes NaN throughout, and so
// does one whose label is no column, unless its dy is 0: nobody asks for that row.
// The maximum and the sum have sixteen lanes: lane l takes the elements l, l + 16, …, and the lanes meet in a fixed tree.
// A row is the work of one thread. Rows of up to sixteen columns are worked on kWidth at a time: one alone would be a
// chain of latencies.
#include "kernel.h"

#include "../simd/math.h"
#include "../simd/simd.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

struct Rows {
  int64_t rows, columns;
  int64_t rowsPerChunk;
  int64_t dyStride;  // 0: one dy for all rows
};

// The extents of x, and how rows are dealt out.
bool prepareRows(Preparation* preparation, const char* kernel) {
  Instruction* instruction = preparation->instruction;
  Rows* r = (Rows*)instruction->parameters;
  const Operand& x = instruction->inputs[0];
  if (x.dtype != Dtype::float32 || instruction->outputs[0].dtype != Dtype::float32)
    return fail(preparation, kernel, "expected a float32 input and output");
  if (x.rank < 1) return fail(preparation, kernel, "expected an input with at least one axis");
  if (x.size == 0) return true;
  r->columns = x.shape[x.rank - 1];
  r->rows = x.size / r->columns;
  // Chunks of about 4 to 32 thousand elements, four for each thread when there is enough to do.
  int64_t elements = x.size / (4 * preparation->threads);
  elements = elements < 4096 ? 4096 : elements > 32768 ? 32768 : elements;
  r->rowsPerChunk = r->columns >= elements ? 1 : roundedUp(elements / r->columns, kWidth);
  instruction->chunks = quotientUp(r->rows, r->rowsPerChunk);
  preparation->nanoseconds = 40 + (double)r->rows * (r->columns <= 16 ? 0 : 20) +
                             (double)x.size * (kWidth == 1 ? 18 : kWidth == 4 ? 1.8 : kWidth == 8 ? 0.8 : 0.5);
  return true;
}

bool prepareUnary(Preparation* preparation, const char* kernel) {
  const Instruction* instruction = preparation->instruction;
  if (instruction->inputCount != 1 || instruction->outputCount != 1)
    return fail(preparation, kernel, "expected one input and one output");
  if (instruction->inputs[0].size != instruction->outputs[0].size)
    return fail(preparation, kernel, "expected input and output of one size");
  return prepareRows(preparation, kernel);
}

bool prepareSoftmax(Preparation* preparation) { return prepareUnary(preparation, "softmax"); }
bool prepareLogSoftmax(Preparation* preparation) { return prepareUnary(preparation, "logSoftmax"); }

bool checkLabels(Preparation* preparation, const char* kernel) {
  const Instruction* instruction = preparation->instruction;
  const Operand& x = instruction->inputs[0];
  const Operand& labels = instruction->inputs[1];
  if (labels.dtype != Dtype::int32) return fail(preparation, kernel, "expected int32 labels");
  if (x.rank < 1 || x.shape[x.rank - 1] < 1) return fail(preparation, kernel, "expected logits with a last axis of at least 1");
  if (labels.size * x.shape[x.rank - 1] != x.size) return fail(preparation, kernel, "expected one label a row");
  return true;
}

bool prepareCrossEntropy(Preparation* preparation) {
  const char* kernel = "softmaxCrossEntropy";
  const Instruction* instruction = preparation->instruction;
  if (instruction->inputCount != 2 || instruction->outputCount != 1)
    return fail(preparation, kernel, "expected logits and labels as inputs, and one output");
  if (!checkLabels(preparation, kernel)) return false;
  if (instruction->outputs[0].size != instruction->inputs[1].size) return fail(preparation, kernel, "expected one loss a row");
  return prepareRows(preparation, kernel);
}

bool prepareCrossEntropyGradient(Preparation* preparation) {
  const char* kernel = "softmaxCrossEntropyGradient";
  const Instruction* instruction = preparation->instruction;
  if (instruction->inputCount != 3 || instruction->outputCount != 1)
    return fail(preparation, kernel, "expected logits, labels and dy as inputs, and one output");
  if (!checkLabels(preparation, kernel)) return false;
  const Operand& dy = instruction->inputs[2];
  if (dy.dtype != Dtype::float32) return fail(preparation, kernel, "expected a float32 dy");
  if (dy.rank != 0 && dy.size != instruction->inputs[1].size) return fail(preparation, kernel, "expected one dy, or one a row");
  if (instruction->inputs[0].size != instruction->outputs[0].size)
    return fail(preparation, kernel, "expected logits and output of one size");
  ((Rows*)instruction->parameters)->dyStride = dy.rank == 0 ? 0 : 1;
  return prepareRows(preparation, kernel);
}

constexpr float kNothing = -__builtin_inff();

// Rows in a last group of fewer are worked on alone, which is quicker.
constexpr int64_t kFewRows = 4;

// The larger of two logits. NOTE: instruction sets differ in what they make of NaN and of zeros of both signs. It does
// not show: a NaN makes the sum of its row NaN, whatever the maximum; and where both zeros are largest, the sum is at least
// 2, so that x - max, a zero of some sign, has a logarithm other than 0 subtracted from it, or is exponentiated to 1.
THALWEG_INLINE Float larger(Float a, Float b) { return atLeast(a, b); }

THALWEG_INLINE bool isColumn(int32_t label, int64_t columns) { return label >= 0 && label < columns; }

// ---- Rows of any length, one at a time ----

// x in the first n lanes, `fill` in the others; 0 < n <= 16.
THALWEG_INLINE Lanes16 firstLanes16(Lanes16 x, int n, float fill) {
  alignas(64) static const int32_t position[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (int i = 0; i < kParts; i++)
    x.part[i] = select(lessInt(loadInt(position + i * kWidth), splatInt(n)), x.part[i], splat(fill));
  return x;
}

THALWEG_INLINE Lanes16 larger16(Lanes16 a, Lanes16 b) {
  for (int i = 0; i < kParts; i++) a.part[i] = larger(a.part[i], b.part[i]);
  return a;
}

THALWEG_INLINE float maximumOfRow(const float* x, int64_t n) {
  Lanes16 even = splat16(kNothing), odd = even;
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    even = larger16(load16(x + i), even);
    odd = larger16(load16(x + i + 16), odd);
  }
  if (i + 16 <= n) {
    even = larger16(load16(x + i), even);
    i += 16;
  }
  if (i < n) odd = larger16(firstLanes16(load16Partial(x + i, (int)(n - i)), (int)(n - i), kNothing), odd);
  return maximum16(larger16(odd, even));
}

THALWEG_INLINE Lanes16 exponentials(Lanes16 x, Float top) {
  for (int i = 0; i < kParts; i++) x.part[i] = expNonPositive(x.part[i] - top);
  return x;
}

// The sum of exp(x - top), which are kept in `e` unless it is null.
template <bool keep>
THALWEG_INLINE float sumOfExponentials(float* e, const float* x, int64_t n, Float top) {
  Lanes16 total = zero16();
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    Lanes16 terms = exponentials(load16(x + i), top);
    if (keep) store16(e + i, terms);
    total = add16(total, terms);
  }
  if (i < n) {
    int rest = (int)(n - i);
    Lanes16 terms = exponentials(load16Partial(x + i, rest), top);
    if (keep) store16Partial(e + i, terms, rest);
    total = add16(total, firstLanes16(terms, rest, 0.0f));
  }
  return sum16(total);
}

void softmaxOfRow(float* y, const float* x, int64_t n) {
  Float top = splat(maximumOfRow(x, n));
  Float total = splat(sumOfExponentials<true>(y, x, n, top));
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, load(y + i) / total);
  if (i < n) storePartial(y + i, loadPartial(y + i, (int)(n - i)) / total, (int)(n - i));
}

void logSoftmaxOfRow(float* y, const float* x, int64_t n) {
  Float top = splat(maximumOfRow(x, n));
  Float logarithm = log(splat(sumOfExponentials<false>(nullptr, x, n, top)));
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, (load(x + i) - top) - logarithm);
  if (i < n) storePartial(y + i, (loadPartial(x + i, (int)(n - i)) - top) - logarithm, (int)(n - i));
}

float crossEntropyOfRow(const float* x, int32_t label, int64_t n) {
  if (!isColumn(label, n)) return NAN;
  Float top = splat(maximumOfRow(x, n));
  Float logarithm = log(splat(sumOfExponentials<false>(nullptr, x, n, top)));
  return firstLane(logarithm - (splat(x[label]) - top));
}

// One division a row instead of one an element: the reciprocal of the sum.
void gradientOfRow(float* y, const float* x, int32_t label, float dy, int64_t n) {
  bool labelled = isColumn(label, n);
  Float factor = splat(labelled || dy == 0.0f ? dy : NAN);
  Float top = splat(maximumOfRow(x, n));
  Float reciprocal = splat(1.0f) / splat(sumOfExponentials<true>(y, x, n, top));
  float atLabel = labelled ? firstLane(fma(splat(y[label]), reciprocal, splat(-1.0f)) * factor) : 0.0f;
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, load(y + i) * reciprocal * factor);
  if (i < n) storePartial(y + i, loadPartial(y + i, (int)(n - i)) * reciprocal * factor, (int)(n - i));
  if (labelled) y[label] = atLabel;
}

// ---- kWidth rows of n <= 16 elements at once, a lane each ----

THALWEG_INLINE Float maximumOfColumns(const Float (&x)[16], int n) {
  Float even = x[0], odd = x[n - 1];
  for (int c = 1; c + 1 < n; c += 2) {
    even = larger(x[c], even);
    odd = larger(x[c + 1], odd);
  }
  return larger(even, odd);
}

// The tree of sum16. An absent lane adds nothing.
THALWEG_INLINE Float sumOfColumns(const Float (&x)[16], int n) {
  Float s[16];
  for (int c = 0; c < n; c++) s[c] = x[c];
  for (int half = 8; half > 0; half /= 2)
    for (int c = 0; c < half && c + half < n; c++) s[c] = s[c] + s[c + half];
  return s[0];
}

void softmaxOfGroup(float* y, const float* x, int n, int rows) {
  Float columns[16];
  loadColumns(columns, x, n, rows);
  Float top = maximumOfColumns(columns, n);
  for (int c = 0; c < n; c++) columns[c] = expNonPositive(columns[c] - top);
  Float total = sumOfColumns(columns, n);
  for (int c = 0; c < n; c++) columns[c] = columns[c] / total;
  storeColumns(y, columns, n, rows);
}

// x - top in place of x; the logarithm of the sum of their exponentials.
THALWEG_INLINE Float logarithmOfGroup(Float (&columns)[16], int n, Float top) {
  Float e[16];
  for (int c = 0; c < n; c++) {
    columns[c] = columns[c] - top;
    e[c] = expNonPositive(columns[c]);
  }
  return log(sumOfColumns(e, n));
}

void logSoftmaxOfGroup(float* y, const float* x, int n, int rows) {
  Float columns[16];
  loadColumns(columns, x, n, rows);
  Float logarithm = logarithmOfGroup(columns, n, maximumOfColumns(columns, n));
  for (int c = 0; c < n; c++) columns[c] = columns[c] - logarithm;
  storeColumns(y, columns, n, rows);
}

void crossEntropyOfGroup(float* y, const float* x, const int32_t* labels, int n, int rows) {
  Float columns[16];
  loadColumns(columns, x, n, rows);
  Float logarithm = logarithmOfGroup(columns, n, maximumOfColumns(columns, n));
  Int label = loadIntPartial(labels, rows);
  Float atLabel = splat(NAN);
  for (int c = 0; c < n; c++) atLabel = select(equalInt(label, splatInt(c)), columns[c], atLabel);
  storePartial(y, logarithm - atLabel, rows);
}

void gradientOfGroup(float* y, const float* x, const int32_t* labels, Float dy, int n, int rows) {
  Float columns[16];
  loadColumns(columns, x, n, rows);
  Float top = maximumOfColumns(columns, n);
  for (int c = 0; c < n; c++) columns[c] = expNonPositive(columns[c] - top);
  Float reciprocal = splat(1.0f) / sumOfColumns(columns, n);
  Int label = loadIntPartial(labels, rows);
  Mask outside = orMask(lessInt(label, splatInt(0)), lessInt(splatInt(n - 1), label));
  Float factor = select(andMask(outside, notEqual(dy, splat(0.0f))), splat(NAN), dy);
  for (int c = 0; c < n; c++) {
    Float share = select(equalInt(label, splatInt(c)), splat(-1.0f), splat(0.0f));
    columns[c] = fma(columns[c], reciprocal, share) * factor;
  }
  storeColumns(y, columns, n, rows);
}

// ---- Chunks ----

// Calls ofGroup(row, rows) for each group of a chunk of short rows, or ofRow(row) for each row.
template <class OfGroup, class OfRow>
THALWEG_INLINE void forRows(const Rows& r, int64_t chunk, OfGroup ofGroup, OfRow ofRow) {
  int64_t row = chunk * r.rowsPerChunk, to = lesser(row + r.rowsPerChunk, r.rows);
  if (r.columns <= 16 && kWidth >= kFewRows)
    for (; row + kFewRows <= to; row += kWidth) ofGroup(row, (int)lesser(to - row, kWidth));
  for (; row < to; row++) ofRow(row);
}

void runSoftmax(const Instruction* instruction, int64_t chunk, void*) {
  const Rows& r = *(const Rows*)instruction->parameters;
  const float* x = (const float*)instruction->inputs[0].data;
  float* y = (float*)instruction->outputs[0].data;
  int64_t n = r.columns;
  forRows(
      r, chunk, [=](int64_t row, int rows) { softmaxOfGroup(y + row * n, x + row * n, (int)n, rows); },
      [=](int64_t row) { softmaxOfRow(y + row * n, x + row * n, n); });
}

void runLogSoftmax(const Instruction* instruction, int64_t chunk, void*) {
  const Rows& r = *(const Rows*)instruction->parameters;
  const float* x = (const float*)instruction->inputs[0].data;
  float* y = (float*)instruction->outputs[0].data;
  int64_t n = r.columns;
  forRows(
      r, chunk, [=](int64_t row, int rows) { logSoftmaxOfGroup(y + row * n, x + row * n, (int)n, rows); },
      [=](int64_t row) { logSoftmaxOfRow(y + row * n, x + row * n, n); });
}

void runCrossEntropy(const Instruction* instruction, int64_t chunk, void*) {
  const Rows& r = *(const Rows*)instruction->parameters;
  const float* x = (const float*)instruction->inputs[0].data;
  const int32_t* labels = (const int32_t*)instruction->inputs[1].data;
  float* y = (float*)instruction->outputs[0].data;
  int64_t n = r.columns;
  forRows(
      r, chunk, [=](int64_t row, int rows) { crossEntropyOfGroup(y + row, x + row * n, labels + row, (int)n, rows); },
      [=](int64_t row) { y[row] = crossEntropyOfRow(x + row * n, labels[row], n); });
}

void runCrossEntropyGradient(const Instruction* instruction, int64_t chunk, void*) {
  const Rows& r = *(const Rows*)instruction->parameters;
  const float* x = (const float*)instruction->inputs[0].data;
  const int32_t* labels = (const int32_t*)instruction->inputs[1].data;
  const float* dy = (const float*)instruction->inputs[2].data;
  float* y = (float*)instruction->outputs[0].data;
  int64_t n = r.columns, stride = r.dyStride;
  forRows(
      r, chunk,
      [=](int64_t row, int rows) {
        Float factor = stride == 0 ? splat(*dy) : loadPartial(dy + row, rows);
        gradientOfGroup(y + row * n, x + row * n, labels + row, factor, (int)n, rows);
      },
      [=](int64_t row) { gradientOfRow(y + row * n, x + row * n, labels[row], dy[row * stride], n); });
}

const Kernel kernels[] = {
    // name, parameters, prepare, run, finish
    {"softmax", sizeof(Rows), prepareSoftmax, runSoftmax, nullptr},                        // x -> y
    {"logSoftmax", sizeof(Rows), prepareLogSoftmax, runLogSoftmax, nullptr},               // x -> y
    {"softmaxCrossEntropy", sizeof(Rows), prepareCrossEntropy, runCrossEntropy, nullptr},  // x labels -> y
    {"softmaxCrossEntropyGradient", sizeof(Rows), prepareCrossEntropyGradient, runCrossEntropyGradient,
     nullptr},  // x labels dy -> dx
};

}  // namespace

extern const KernelFamily softmaxFamily;
const KernelFamily softmaxFamily = {kernels, sizeof kernels / sizeof kernels[0]};

}  // namespace THALWEG_ISA
}  // namespace thalweg
