// The steps that chains of elementwise ops are made of, and the instruction that is nothing but a chain: y = f(inputs).
// See chain.h for what a chain is.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../simd/math.h"
#include "../simd/simd.h"
#include "chain.h"
#include "kernel.h"
#include "steps.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {

// ---- Steps ----

namespace {

THALWEG_INLINE Float one(Mask m) { return select(m, splat(1.0f), splat(0.0f)); }

THALWEG_INLINE Float addStep(Float a, Float b) { return a + b; }
THALWEG_INLINE Float subtractStep(Float a, Float b) { return a - b; }
THALWEG_INLINE Float multiplyStep(Float a, Float b) { return a * b; }
THALWEG_INLINE Float divideStep(Float a, Float b) { return a / b; }
THALWEG_INLINE Float greaterStep(Float a, Float b) { return one(greater(a, b)); }
THALWEG_INLINE Float greaterEqualStep(Float a, Float b) { return one(greaterEqual(a, b)); }
THALWEG_INLINE Float lessStep(Float a, Float b) { return one(less(a, b)); }
THALWEG_INLINE Float lessEqualStep(Float a, Float b) { return one(lessEqual(a, b)); }
THALWEG_INLINE Float equalStep(Float a, Float b) { return one(equal(a, b)); }
THALWEG_INLINE Float notEqualStep(Float a, Float b) { return one(notEqual(a, b)); }
THALWEG_INLINE Float signStep(Float x) {
  return select(greater(x, splat(0.0f)), splat(1.0f), select(less(x, splat(0.0f)), splat(-1.0f), x));
}
THALWEG_INLINE Float squareStep(Float x) { return x * x; }
THALWEG_INLINE Float reciprocalStep(Float x) { return splat(1.0f) / x; }
THALWEG_INLINE Float reluStep(Float x) { return select(less(x, splat(0.0f)), splat(0.0f), x); }
THALWEG_INLINE Float reluGradientStep(Float y, Float dy) { return select(greater(y, splat(0.0f)), dy, splat(0.0f)); }
THALWEG_INLINE Float castStep(Float x) { return toFloat(bits(x)); }

template <Float (*step)(Float)>
void unaryTile(const float* const* operands, float* y, int64_t n) {
  const float* x = operands[0];
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, step(load(x + i)));
  int rest = (int)(n - i);
  if (rest > 0) storePartial(y + i, step(loadPartial(x + i, rest)), rest);
}

template <Float (*step)(Float, Float)>
void binaryTile(const float* const* operands, float* y, int64_t n) {
  const float *a = operands[0], *b = operands[1];
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, step(load(a + i), load(b + i)));
  int rest = (int)(n - i);
  if (rest > 0) storePartial(y + i, step(loadPartial(a + i, rest), loadPartial(b + i, rest)), rest);
}

THALWEG_INLINE Mask iteratesRoot(Float x) {
  return andMask(orMask(greaterEqual(x, splat(0x1p-80f)), equal(x, splat(0.0f))), less(x, splat(INFINITY)));
}

// Of three vectors two roots are iterated where they can be, which takes as long as the instruction takes for the third.
void squareRootTile(const float* const* operands, float* y, int64_t n) {
  const float* x = operands[0];
  int64_t i = 0;
  for (; kIteratesRoots && i + 3 * kWidth <= n; i += 3 * kWidth) {
    const Float a = load(x + i), b = load(x + i + kWidth), c = load(x + i + 2 * kWidth);
    const bool both = all(andMask(iteratesRoot(a), iteratesRoot(b)));
    store(y + i, both ? iterateSquareRoot(a, reciprocalRootEstimate(a)) : squareRoot(a));
    store(y + i + kWidth, both ? iterateSquareRoot(b, reciprocalRootEstimate(b)) : squareRoot(b));
    store(y + i + 2 * kWidth, squareRoot(c));
  }
  const float* rest[] = {x + i};
  unaryTile<squareRoot>(rest, y + i, n - i);
}

THALWEG_INLINE Float whereStep(Float condition, Float a, Float b) { return select(notEqual(condition, splat(0.0f)), a, b); }

void whereTile(const float* const* operands, float* y, int64_t n) {
  const float *condition = operands[0], *a = operands[1], *b = operands[2];
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth)
    store(y + i, whereStep(load(condition + i), load(a + i), load(b + i)));
  int rest = (int)(n - i);
  if (rest > 0)
    storePartial(y + i, whereStep(loadPartial(condition + i, rest), loadPartial(a + i, rest), loadPartial(b + i, rest)), rest);
}

template <Float (*step)(Float)>
Float unaryVector(Float x, Float, Float) { return step(x); }
template <Float (*step)(Float, Float)>
Float binaryVector(Float a, Float b, Float) { return step(a, b); }
Float whereVector(Float condition, Float a, Float b) { return whereStep(condition, a, b); }

template <Float (*step)(Float)>
constexpr StepFunctions unary = {unaryTile<step>, unaryVector<step>};
template <Float (*step)(Float, Float)>
constexpr StepFunctions binary = {binaryTile<step>, binaryVector<step>};

// The arithmetic is done for a whole block, which compiles to vectors of doubles; then signs and special values.
void powerTile(const float* const* operands, float* y, int64_t n) {
  constexpr int64_t kBlock = 64;
  float magnitudes[kBlock];
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const float *a = operands[0] + begin, *b = operands[1] + begin;
    int64_t count = n - begin < kBlock ? n - begin : kBlock;
    for (int64_t i = 0; i < count; i++) magnitudes[i] = (float)powerPositive(fabsf(a[i]), b[i]);
    for (int64_t i = 0; i < count; i++) y[begin + i] = power(a[i], b[i], magnitudes[i]);
  }
}

const StepOp kSteps[] = {
    {"add", 2, binary<addStep>, 0.05f, false},                    // a b -> a + b
    {"subtract", 2, binary<subtractStep>, 0.05f, false},          // a b -> a - b
    {"multiply", 2, binary<multiplyStep>, 0.05f, false},          // a b -> a b
    {"divide", 2, binary<divideStep>, 0.15f, false},              // a b -> a / b
    {"maximum", 2, binary<maximum>, 0.1f, false},                // a b -> the larger, NaN when either is
    {"minimum", 2, binary<minimum>, 0.1f, false},                // a b -> the smaller, NaN when either is
    {"power", 2, {powerTile, nullptr}, 5.0f, false},              // a b -> a^b
    {"greater", 2, binary<greaterStep>, 0.05f, false},            // a b -> 1 where a > b, else 0
    {"greaterEqual", 2, binary<greaterEqualStep>, 0.05f, false},  // a b -> 1 where a >= b, else 0
    {"less", 2, binary<lessStep>, 0.05f, false},                  // a b -> 1 where a < b, else 0
    {"lessEqual", 2, binary<lessEqualStep>, 0.05f, false},        // a b -> 1 where a <= b, else 0
    {"equal", 2, binary<equalStep>, 0.05f, false},                // a b -> 1 where a = b, else 0
    {"notEqual", 2, binary<notEqualStep>, 0.05f, false},          // a b -> 1 where a != b or either is NaN, else 0
    {"where", 3, {whereTile, whereVector}, 0.07f, false},         // condition a b -> a where condition != 0, else b
    {"negate", 1, unary<negate>, 0.04f, false},                   // x -> -x
    {"abs", 1, unary<absolute>, 0.04f, false},                    // x -> abs(x)
    {"sign", 1, unary<signStep>, 0.05f, false},                   // x -> 1, -1, or x itself when it is 0 or NaN
    {"exp", 1, unary<exp>, 0.4f, false},                          // x -> e^x
    {"log", 1, unary<log>, 0.6f, false},                          // x -> ln x, NaN for x < 0
    {"sqrt", 1, {squareRootTile, unaryVector<squareRoot>}, 0.2f, false},  // x -> sqrt(x)
    {"square", 1, unary<squareStep>, 0.04f, false},               // x -> x^2
    {"reciprocal", 1, unary<reciprocalStep>, 0.15f, false},       // x -> 1 / x
    {"erf", 1, unary<erf>, 0.7f, false},                          // x -> erf(x)
    {"sigmoid", 1, unary<sigmoid>, 0.5f, false},                  // x -> 1 / (1 + e^-x)
    {"tanh", 1, unary<tanh>, 0.4f, false},                        // x -> tanh(x)
    {"relu", 1, unary<reluStep>, 0.05f, false},                   // x -> 0 where x < 0, else x (NaN stays)
    {"reluGradient", 2, binary<reluGradientStep>, 0.05f, false},  // y dy -> dy where y > 0, else 0
    {"softplus", 1, unary<softplus>, 1.0f, false},                // x -> ln(1 + e^x)
    {"gelu", 1, unary<gelu>, 0.8f, false},                        // x -> x/2 (1 + erf(x / sqrt(2)))
    {"geluTanh", 1, unary<geluTanh>, 0.5f, false},                // x -> its approximation by tanh
    {"cast", 1, unary<castStep>, 0.05f, true},                    // int32 x -> the nearest float
};
constexpr int64_t kStepOps = sizeof kSteps / sizeof kSteps[0];

}  // namespace

const StepOp* allSteps(int64_t* count) {
  *count = kStepOps;
  return kSteps;
}

const StepOp* findStep(const char* name) {
  for (const StepOp& step : kSteps)
    if (strcmp(step.name, name) == 0) return &step;
  return nullptr;
}

// ---- The kernel ----

namespace {

constexpr int64_t kChunkAlignment = 1024;

struct Elementwise {
  int64_t chunk;  // elements
  Chain chain;
};

// Pieces of about 16 microseconds; smaller ones, down to 4, when there are too few for the threads.
int64_t chooseChunk(const Chain& chain, int64_t size, double costPerElement, int64_t threads) {
  double ideal = 16000.0 / costPerElement, smallest = 4000.0 / costPerElement;
  double share = (double)size / (double)(4 * threads);
  if (ideal > share) ideal = share > smallest ? share : smallest;
  if (ideal > (double)size) ideal = (double)size;
  int64_t unit = chain.tile == kChainTile ? kChunkAlignment : chain.tile;
  int64_t units = (int64_t)(ideal / (double)unit);
  return units < 1 ? unit : units * unit;
}

bool prepareElementwise(Preparation* p) {
  Instruction& instruction = *p->instruction;
  Elementwise* e = (Elementwise*)instruction.parameters;
  if (instruction.inputCount > kChainInputs || instruction.outputCount != 1) {
    snprintf(p->error, sizeof p->error, "elementwise: expected at most %d inputs and 1 output, got %lld and %lld",
             kChainInputs, (long long)instruction.inputCount, (long long)instruction.outputCount);
    return false;
  }
  const Operand* inputs[kChainInputs];
  for (int64_t i = 0; i < instruction.inputCount; i++) inputs[i] = &instruction.inputs[i];
  if (!prepareChain(p, "elementwise", inputs, instruction.inputCount, &e->chain)) return false;
  const int64_t size = instruction.outputs[0].size;
  instruction.chunks = 0;
  if (size == 0) return true;
  double costPerElement = e->chain.cost + 0.05 * (double)(e->chain.wholeInputs + 1);
  e->chunk = chooseChunk(e->chain, size, costPerElement, p->threads < 1 ? 1 : p->threads);
  instruction.chunks = quotientUp(size, e->chunk);
  p->scratchBytes = e->chain.scratchBytes;
  p->nanoseconds = 20.0 + (double)size * costPerElement;
  return true;
}

void runElementwise(const Instruction* instruction, int64_t chunk, void* scratch) {
  const Elementwise& e = *(const Elementwise*)instruction->parameters;
  const int64_t begin = chunk * e.chunk;
  runChain(e.chain, begin, lesser(instruction->outputs[0].size - begin, e.chunk), 1, 0, (float*)scratch);
}

const Kernel kernels[] = {
    // name, parameters, prepare, run, finish
    {"elementwise", sizeof(Elementwise), prepareElementwise, runElementwise, nullptr},  // inputs -> y
};

}  // namespace

extern const KernelFamily elementwiseFamily;
const KernelFamily elementwiseFamily = {kernels, sizeof kernels / sizeof kernels[0]};

}  // namespace THALWEG_ISA
}  // namespace thalweg
