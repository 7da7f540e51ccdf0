// softmax and logSoftmax over the last axis.
//
//   softmax     y = e / sum(e),  e = exp(x - max(x))
//   logSoftmax  y = (x - max(x)) - log(sum(e))
//
// x and y are [rows, columns]; y may be x itself. The maximum keeps the exponentials at 1 or below, so nothing
// overflows, and -inf gives exactly 0. A row that is -inf throughout, or holds +inf or NaN, becomes NaN throughout.
// The sum has sixteen lanes: lane l adds the exponentials l, l + 16, …, and the lanes meet in a fixed tree. A row is
// the work of one thread.
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
};

bool prepareRows(Preparation* preparation, const char* kernel) {
  Instruction* instruction = preparation->instruction;
  Rows* r = (Rows*)instruction->parameters;
  if (instruction->inputCount != 1 || instruction->outputCount != 1)
    return fail(preparation, kernel, "expected one input and one output");
  const Operand& x = instruction->inputs[0];
  const Operand& y = instruction->outputs[0];
  if (x.dtype != Dtype::float32 || y.dtype != Dtype::float32)
    return fail(preparation, kernel, "expected a float32 input and output");
  if (x.rank < 1) return fail(preparation, kernel, "expected an input with at least one axis");
  if (x.size != y.size) return fail(preparation, kernel, "expected input and output of one size");
  if (x.size == 0) return true;
  r->columns = x.shape[x.rank - 1];
  r->rows = x.size / r->columns;
  // Chunks of about 4 to 32 thousand elements, four for each thread when there is enough to do.
  int64_t elements = x.size / (4 * preparation->threads);
  elements = elements < 4096 ? 4096 : elements > 32768 ? 32768 : elements;
  r->rowsPerChunk = r->columns >= elements ? 1 : elements / r->columns;
  instruction->chunks = (r->rows + r->rowsPerChunk - 1) / r->rowsPerChunk;
  preparation->nanoseconds = 20 + (double)r->rows * 10 + (double)x.size * (kWidth == 1 ? 18 : kWidth == 4 ? 1.2 : kWidth == 8 ? 0.6 : 0.4);
  return true;
}

bool prepareSoftmax(Preparation* preparation) { return prepareRows(preparation, "softmax"); }
bool prepareLogSoftmax(Preparation* preparation) { return prepareRows(preparation, "logSoftmax"); }

// x in the first n lanes, `fill` in the others; 0 < n <= 16.
THALWEG_INLINE Lanes16 firstLanes16(Lanes16 x, int n, float fill) {
  alignas(64) static const int32_t position[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (int i = 0; i < kParts; i++)
    x.part[i] = select(lessInt(loadInt(position + i * kWidth), splatInt(n)), x.part[i], splat(fill));
  return x;
}

constexpr float kNothing = -__builtin_inff();

THALWEG_INLINE float maximumOfRow(const float* x, int64_t n) {
  Lanes16 even = splat16(kNothing), odd = even;
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    even = max16(load16(x + i), even);
    odd = max16(load16(x + i + 16), odd);
  }
  if (i + 16 <= n) {
    even = max16(load16(x + i), even);
    i += 16;
  }
  if (i < n) odd = max16(firstLanes16(load16Partial(x + i, (int)(n - i)), (int)(n - i), kNothing), odd);
  return maximum16(max16(odd, even));
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

// The same for rows of up to sixteen elements, which stay in registers.
void softmaxOfShortRow(float* y, const float* x, int64_t n) {
  int lanes = (int)n;
  Lanes16 row = load16Partial(x, lanes);
  Float top = splat(maximum16(firstLanes16(row, lanes, kNothing)));
  Lanes16 terms = exponentials(row, top);
  Float total = splat(sum16(firstLanes16(terms, lanes, 0.0f)));
  for (int i = 0; i < kParts; i++) terms.part[i] = terms.part[i] / total;
  store16Partial(y, terms, lanes);
}

void logSoftmaxOfRow(float* y, const float* x, int64_t n) {
  Float top = splat(maximumOfRow(x, n));
  Float logarithm = log(splat(sumOfExponentials<false>(nullptr, x, n, top)));
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, (load(x + i) - top) - logarithm);
  if (i < n) storePartial(y + i, (loadPartial(x + i, (int)(n - i)) - top) - logarithm, (int)(n - i));
}

void runSoftmax(const Instruction* instruction, int64_t chunk, void*) {
  const Rows& r = *(const Rows*)instruction->parameters;
  const float* x = (const float*)instruction->inputs[0].data;
  float* y = (float*)instruction->outputs[0].data;
  int64_t from = chunk * r.rowsPerChunk, to = lesser(from + r.rowsPerChunk, r.rows);
  if (r.columns <= 16)
    for (int64_t row = from; row < to; row++) softmaxOfShortRow(y + row * r.columns, x + row * r.columns, r.columns);
  else
    for (int64_t row = from; row < to; row++) softmaxOfRow(y + row * r.columns, x + row * r.columns, r.columns);
}

void runLogSoftmax(const Instruction* instruction, int64_t chunk, void*) {
  const Rows& r = *(const Rows*)instruction->parameters;
  const float* x = (const float*)instruction->inputs[0].data;
  float* y = (float*)instruction->outputs[0].data;
  int64_t from = chunk * r.rowsPerChunk, to = lesser(from + r.rowsPerChunk, r.rows);
  for (int64_t row = from; row < to; row++) logSoftmaxOfRow(y + row * r.columns, x + row * r.columns, r.columns);
}

const Kernel kernels[] = {
    // name, parameters, prepare, run, finish
    {"softmax", sizeof(Rows), prepareSoftmax, runSoftmax, nullptr},           // x -> y
    {"logSoftmax", sizeof(Rows), prepareLogSoftmax, runLogSoftmax, nullptr},  // x -> y
};

}  // namespace

extern const KernelFamily softmaxFamily;
const KernelFamily softmaxFamily = {kernels, sizeof kernels / sizeof kernels[0]};

}  // namespace THALWEG_ISA
}  // namespace thalweg
