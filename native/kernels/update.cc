// Updates of variables in place: assign, update, sgd, adam; and what a step needs beside them: increment, continueIf, checkFinite.
//
// Each output is the input of the same name, in the same memory. An update is one flat pass. Every element is computed
// by the formula below with each operation rounded to float on its own: no fused multiply-add, so that the bits can be
// repeated in any language. Stores are ordinary ones: the lines are in the cache, having just been read.
#include "chain.h"
#include "kernel.h"

#include <stdio.h>
#include <string.h>

#include "../simd/simd.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

// At most 16384 elements, of which four arrays are 256 KB, and with several threads four chunks for each where there is enough to
// do: then all end together, and each meets the same elements in every step and every pass over them.
constexpr int64_t kChunk = 16384, kLeastChunk = 2048;

int64_t chunkOf(int64_t size, int64_t threads) {
  int64_t each = threads == 1 ? kChunk : roundedUp(quotientUp(size, 4 * threads), 16);
  return each < kLeastChunk ? kLeastChunk : each > kChunk ? kChunk : each;
}

// How far ahead the parameters are fetched, in floats. Other threads have read them in their products, so that the first store to a
// line would wait for the word of every other core; fetched for writing, they wait side by side. Adam fetches all its arrays, twice as
// far ahead: a step reads more than the second-level cache holds, and hardware is late for what part of them has left it.
constexpr int64_t kAhead = 256;

// The first `arrays` inputs are float32 arrays of one size, and the outputs are those inputs without the second, the
// gradient. Sets the number of chunks, and their size.
bool prepareArrays(Preparation* preparation, const char* kernel, int64_t inputs, int64_t arrays, int64_t* chunk) {
  const Instruction* instruction = preparation->instruction;
  if (instruction->inputCount != inputs || instruction->outputCount != arrays - 1) {
    snprintf(preparation->error, sizeof preparation->error, "%s: expected %lld inputs and %lld outputs, got %lld and %lld", kernel,
             (long long)inputs, (long long)(arrays - 1), (long long)instruction->inputCount, (long long)instruction->outputCount);
    return false;
  }
  int64_t size = instruction->inputs[0].size;
  for (int64_t i = 0; i < arrays; i++) {
    const Operand& x = instruction->inputs[i];
    if (x.dtype != Dtype::float32 || x.size != size) return fail(preparation, kernel, "expected float32 arrays of one size");
    if (i != 1 && instruction->outputs[i > 0 ? i - 1 : 0].data != x.data)
      return fail(preparation, kernel, "expected each output in the place of its input");
  }
  const Operand& rate = instruction->inputs[arrays];
  if (rate.dtype != Dtype::float32 || rate.size != 1) return fail(preparation, kernel, "expected a float32 learning rate of one element");
  *chunk = chunkOf(size, preparation->threads);
  preparation->instruction->chunks = quotientUp(size, *chunk);
  return true;
}

bool expectRange(Preparation* preparation, const char* kernel, const char* name, double value, double end) {
  if (value >= 0 && value < end) return true;
  snprintf(preparation->error, sizeof preparation->error, "%s: expected %s to be at least 0 and below %g, got %g", kernel, name, end, value);
  return false;
}

// sgd: p g v lr[] -> p v, or without momentum p g lr[] -> p
//   d = g + weightDecay p         (d = g when weightDecay is 0)
//   v = momentum v + d            (0 when below 2^-110)
//   p = p - lr (nesterov ? d + momentum v : v)
struct Sgd {
  int64_t chunk;  // elements
  float momentum, weightDecay;
  bool hasMomentum, nesterov;
};

bool prepareSgd(Preparation* preparation) {
  Sgd* s = (Sgd*)preparation->instruction->parameters;
  double momentum = attributeNumber(preparation->attributes, "momentum", 0);
  double weightDecay = attributeNumber(preparation->attributes, "weightDecay", 0);
  s->hasMomentum = momentum != 0;
  s->nesterov = attributeNumber(preparation->attributes, "nesterov", 0) != 0;
  if (!expectRange(preparation, "sgd", "momentum", momentum, __builtin_inf())) return false;
  if (!expectRange(preparation, "sgd", "weightDecay", weightDecay, __builtin_inf())) return false;
  if (!prepareArrays(preparation, "sgd", s->hasMomentum ? 4 : 3, s->hasMomentum ? 3 : 2, &s->chunk)) return false;
  s->momentum = (float)momentum;
  s->weightDecay = (float)weightDecay;
  preparation->nanoseconds = 20 + (double)preparation->instruction->inputs[0].size * (kWidth == 1 ? 0.7 : s->hasMomentum ? 0.3 : 0.2);
  return true;
}

struct SgdElement {
  Float p, v;
};

// Moments below 2^-110 become 0. Left alone, those of a unit that gets no gradient decay into denormals and stay there
// (0.9 x rounds back to x), and every step pays for them; next to epsilon they mean nothing.
constexpr float kLeastMoment = 0x1p-110f;
THALWEG_INLINE Float withoutRemnant(Float x) { return select(less(absolute(x), splat(kLeastMoment)), splat(0.0f), x); }

template <bool hasMomentum>
THALWEG_INLINE SgdElement sgdElement(Float p, Float g, Float v, Float rate, const Sgd& s) {
  Float d = s.weightDecay != 0.0f ? g + splat(s.weightDecay) * p : g;
  if (!hasMomentum) return {p - rate * d, v};
  Float momentum = splat(s.momentum);
  v = withoutRemnant(momentum * v + d);
  return {p - rate * (s.nesterov ? d + momentum * v : v), v};
}

template <bool hasMomentum>
void updateSgd(float* p, const float* g, float* v, float learningRate, const Sgd& s, int64_t n) {
  Float rate = splat(learningRate);
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    __builtin_prefetch(p + i + kAhead, 1);
    SgdElement e = sgdElement<hasMomentum>(load(p + i), load(g + i), hasMomentum ? load(v + i) : splat(0.0f), rate, s);
    store(p + i, e.p);
    if (hasMomentum) store(v + i, e.v);
  }
  if (i < n) {
    int rest = (int)(n - i);
    SgdElement e = sgdElement<hasMomentum>(loadPartial(p + i, rest), loadPartial(g + i, rest),
                                           hasMomentum ? loadPartial(v + i, rest) : splat(0.0f), rate, s);
    storePartial(p + i, e.p, rest);
    if (hasMomentum) storePartial(v + i, e.v, rest);
  }
}

void runSgd(const Instruction* instruction, int64_t chunk, void*) {
  const Sgd& s = *(const Sgd*)instruction->parameters;
  const Operand* inputs = instruction->inputs;
  int64_t from = chunk * s.chunk, n = lesser(s.chunk, inputs[0].size - from);
  float* p = (float*)inputs[0].data + from;
  const float* g = (const float*)inputs[1].data + from;
  if (s.hasMomentum)
    updateSgd<true>(p, g, (float*)inputs[2].data + from, *(const float*)inputs[3].data, s, n);
  else
    updateSgd<false>(p, g, nullptr, *(const float*)inputs[2].data, s, n);
}

// adam: p g m v lr[] step int32[] -> p m v, with t = step + 1; m and v below 2^-110 become 0
//   p = p - (lr weightDecay) p                    (left out when weightDecay is 0)
//   m = m + (1 - beta1) (g - m)
//   v = v + (1 - beta2) (g g - v)
//   p = p - (rate m) / (sqrt(v correction) + epsilon),  rate = lr / (1 - beta1^t), correction = 1 / (1 - beta2^t);
//   with epsilonHat rate = lr sqrt(1 - beta2^t) / (1 - beta1^t), correction = 1
// 1 - beta, rate and correction are computed in double and rounded to float once.
// Kingma and Ba, "Adam", 2015, algorithm 1; the decay is Loshchilov and Hutter's (AdamW, 2019).
struct Adam {
  int64_t chunk;  // elements
  double beta1, beta2;
  float epsilon, weightDecay;
  bool epsilonHat;
};

bool prepareAdam(Preparation* preparation) {
  Adam* a = (Adam*)preparation->instruction->parameters;
  const Attributes* attributes = preparation->attributes;
  a->beta1 = attributeNumber(attributes, "beta1", 0.9);
  a->beta2 = attributeNumber(attributes, "beta2", 0.999);
  double epsilon = attributeNumber(attributes, "epsilon", 1e-8);
  double weightDecay = attributeNumber(attributes, "weightDecay", 0);
  if (!expectRange(preparation, "adam", "beta1", a->beta1, 1)) return false;
  if (!expectRange(preparation, "adam", "beta2", a->beta2, 1)) return false;
  if (!expectRange(preparation, "adam", "epsilon", epsilon, __builtin_inf())) return false;
  if (!expectRange(preparation, "adam", "weightDecay", weightDecay, __builtin_inf())) return false;
  if (!prepareArrays(preparation, "adam", 6, 4, &a->chunk)) return false;
  const Operand& step = preparation->instruction->inputs[5];
  if (step.dtype != Dtype::int32 || step.size != 1) return fail(preparation, "adam", "expected an int32 step of one element");
  a->epsilon = (float)epsilon;
  a->weightDecay = (float)weightDecay;
  a->epsilonHat = attributeNumber(attributes, "epsilonHat", 0) != 0;
  preparation->nanoseconds = 60 + (double)preparation->instruction->inputs[0].size * (kWidth == 1 ? 1.8 : kWidth == 4 ? 1.0 : 0.6);
  return true;
}

// base^exponent by repeated squaring; exponent >= 0.
double integerPower(double base, int64_t exponent) {
  double y = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) y *= base;
    base *= base;
  }
  return y;
}

struct AdamScalars {
  Float decay, oneMinusBeta1, oneMinusBeta2, rate, correction, epsilon;
  Float scaledCorrection;  // times 2^40
  Float largest;           // second moment of which the root is iterated: times the correction at most 2^60
};
struct AdamElement {
  Float p, m, v;
};

THALWEG_INLINE Float firstMoment(Float g, Float m, const AdamScalars& s) { return m + s.oneMinusBeta1 * (g - m); }
THALWEG_INLINE Float secondMoment(Float g, Float v, const AdamScalars& s) { return v + s.oneMinusBeta2 * (g * g - v); }

template <bool hasDecay>
THALWEG_INLINE Float adamParameter(Float p, Float m, Float root, const AdamScalars& s) {
  if (hasDecay) p = p - s.decay * p;
  return p - s.rate * m / (root + s.epsilon);
}

template <bool hasDecay>
THALWEG_INLINE AdamElement adamElement(Float p, Float g, Float m, Float v, const AdamScalars& s) {
  m = withoutRemnant(firstMoment(g, m, s));
  v = withoutRemnant(secondMoment(g, v, s));
  return {adamParameter<hasDecay>(p, m, squareRoot(v * s.correction), s), m, v};
}

// Two vectors, where the root of the first can be iterated; else false, and nothing is written. Roots and quotients share one unit, which
// is what an element waits for, so every other root is iterated: of 2^40 times as much, for then the least moment is far from what is too
// small to iterate. Moments that are 0, as those of units that get no gradient, are no exception.
template <bool hasDecay>
THALWEG_INLINE bool updateAdamPair(float* p, const float* g, float* m, float* v, const AdamScalars& s) {
  const Float ga = load(g), gb = load(g + kWidth);
  const Float va = withoutRemnant(secondMoment(ga, load(v), s)), vb = withoutRemnant(secondMoment(gb, load(v + kWidth), s));
  if (!all(less(va, s.largest))) return false;
  const Float ma = withoutRemnant(firstMoment(ga, load(m), s)), mb = withoutRemnant(firstMoment(gb, load(m + kWidth), s));
  store(m, ma);
  store(m + kWidth, mb);
  store(v, va);
  store(v + kWidth, vb);
  const Float scaled = va * s.scaledCorrection;
  const Float rootA = iterateSquareRoot(scaled, reciprocalRootEstimate(scaled)) * splat(0x1p-20f);
  const Float rootB = squareRoot(vb * s.correction);
  store(p, adamParameter<hasDecay>(load(p), ma, rootA, s));
  store(p + kWidth, adamParameter<hasDecay>(load(p + kWidth), mb, rootB, s));
  return true;
}

template <bool hasDecay>
THALWEG_INLINE void updateAdamVector(float* p, const float* g, float* m, float* v, const AdamScalars& s) {
  AdamElement e = adamElement<hasDecay>(load(p), load(g), load(m), load(v), s);
  store(p, e.p);
  store(m, e.m);
  store(v, e.v);
}

template <bool hasDecay>
void updateAdam(float* p, const float* g, float* m, float* v, const AdamScalars& scalars, int64_t n) {
  const AdamScalars s = scalars;  // a copy, which the compiler can see that no store changes
  int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    for (int64_t ahead = i + 2 * kAhead; ahead < i + 2 * kAhead + 2 * kWidth; ahead += 16) {  // a line of each array
      __builtin_prefetch(p + ahead, 1);
      __builtin_prefetch(g + ahead);
      __builtin_prefetch(m + ahead, 1);
      __builtin_prefetch(v + ahead, 1);
    }
    if (kIteratesRoots && updateAdamPair<hasDecay>(p + i, g + i, m + i, v + i, s)) continue;
    for (int64_t j = i; j < i + 2 * kWidth; j += kWidth) updateAdamVector<hasDecay>(p + j, g + j, m + j, v + j, s);
  }
  for (; i + kWidth <= n; i += kWidth) updateAdamVector<hasDecay>(p + i, g + i, m + i, v + i, s);
  if (i < n) {
    int rest = (int)(n - i);
    AdamElement e = adamElement<hasDecay>(loadPartial(p + i, rest), loadPartial(g + i, rest), loadPartial(m + i, rest),
                                          loadPartial(v + i, rest), s);
    storePartial(p + i, e.p, rest);
    storePartial(m + i, e.m, rest);
    storePartial(v + i, e.v, rest);
  }
}

void runAdam(const Instruction* instruction, int64_t chunk, void*) {
  const Adam& a = *(const Adam*)instruction->parameters;
  const Operand* inputs = instruction->inputs;
  int64_t from = chunk * a.chunk, n = lesser(a.chunk, inputs[0].size - from);
  float* p = (float*)inputs[0].data + from;
  const float* g = (const float*)inputs[1].data + from;
  float* m = (float*)inputs[2].data + from;
  float* v = (float*)inputs[3].data + from;
  float learningRate = *(const float*)inputs[4].data;
  int64_t t = (int64_t)*(const int32_t*)inputs[5].data + 1;
  const double correction1 = 1 - integerPower(a.beta1, t), correction2 = 1 - integerPower(a.beta2, t);
  const float correction = a.epsilonHat ? 1.0f : (float)(1 / correction2);
  AdamScalars s = {splat(learningRate * a.weightDecay),
                   splat((float)(1 - a.beta1)),
                   splat((float)(1 - a.beta2)),
                   splat((float)(learningRate / correction1 * (a.epsilonHat ? __builtin_sqrt(correction2) : 1))),
                   splat(correction),
                   splat(a.epsilon),
                   splat(0x1p40f * correction),
                   splat(0x1p60f * (float)correction2)};
  if (a.weightDecay != 0.0f)
    updateAdam<true>(p, g, m, v, s, n);
  else
    updateAdam<false>(p, g, m, v, s, n);
}

// update: v0 … vn-1 and what their new values are made of -> v0 … vn-1, an elementwise chain with a result for each (chain.h)
struct Update {
  int64_t chunk;  // elements
  Chain chain;
};

bool prepareUpdate(Preparation* p) {
  Instruction& instruction = *p->instruction;
  Update* u = (Update*)instruction.parameters;
  int64_t resultCount;
  const double* results = attributeNumbers(p->attributes, "results", &resultCount);
  if (instruction.inputCount > kChainInputs || instruction.outputCount < 1 || instruction.outputCount != resultCount ||
      instruction.outputCount > instruction.inputCount) {
    snprintf(p->error, sizeof p->error, "update: expected at most %d inputs, and a result for each output, got %lld, %lld and %lld",
             kChainInputs, (long long)instruction.inputCount, (long long)resultCount, (long long)instruction.outputCount);
    return false;
  }
  const Operand* inputs[kChainInputs];
  for (int64_t i = 0; i < instruction.inputCount; i++) inputs[i] = &instruction.inputs[i];
  for (int64_t i = 0; i < instruction.outputCount; i++)
    if (instruction.outputs[i].data != inputs[i]->data) return fail(p, "update", "expected each output in the place of its variable");
  if (!prepareChain(p, "update", inputs, instruction.inputCount, &u->chain, results)) return false;
  const int64_t size = instruction.outputs[0].size;
  instruction.chunks = 0;
  if (size == 0) return true;
  u->chain.ahead = u->chain.y;
  u->chunk = roundedUp(chunkOf(size, p->threads), u->chain.tile);
  instruction.chunks = quotientUp(size, u->chunk);
  p->scratchBytes = u->chain.scratchBytes;
  p->nanoseconds = 20 + (double)size * (u->chain.cost + 0.05 * (double)(u->chain.wholeInputs + instruction.outputCount));
  return true;
}

void runUpdate(const Instruction* instruction, int64_t chunk, void* scratch) {
  const Update& u = *(const Update*)instruction->parameters;
  const int64_t begin = chunk * u.chunk;
  runChain(u.chain, begin, lesser(instruction->outputs[0].size - begin, u.chunk), 1, 0, (float*)scratch);
}

// assign: variable value -> variable, for values that could not be computed in the variable's own memory
bool prepareAssign(Preparation* preparation) {
  Instruction* instruction = preparation->instruction;
  if (instruction->inputCount != 2 || instruction->outputCount != 1)
    return fail(preparation, "assign", "expected two inputs and one output");
  const Operand& value = instruction->inputs[1];
  const Operand& y = instruction->outputs[0];
  if (y.data != instruction->inputs[0].data) return fail(preparation, "assign", "expected the output in the place of the variable");
  if (value.dtype != y.dtype || value.size != y.size) return fail(preparation, "assign", "expected value and variable of one dtype and size");
  instruction->chunks = value.data == y.data ? 0 : quotientUp(y.size, kChunk);
  preparation->nanoseconds = 0.25 * (double)y.size;
  return true;
}

void runAssign(const Instruction* instruction, int64_t chunk, void*) {
  const Operand& y = instruction->outputs[0];
  int64_t from = chunk * kChunk;
  memcpy((float*)y.data + from, (const float*)instruction->inputs[1].data + from, (size_t)lesser(kChunk, y.size - from) * sizeof(float));
}

// increment: counter int32[] -> counter, one more; 2^31 - 1 is followed by -2^31.
bool prepareIncrement(Preparation* preparation) {
  const Instruction* instruction = preparation->instruction;
  if (instruction->inputCount != 1 || instruction->outputCount != 1)
    return fail(preparation, "increment", "expected one input and one output");
  const Operand& x = instruction->inputs[0];
  const Operand& y = instruction->outputs[0];
  if (x.dtype != Dtype::int32 || y.dtype != Dtype::int32 || x.size != 1 || y.size != 1)
    return fail(preparation, "increment", "expected int32 tensors of one element");
  if (x.data != y.data) return fail(preparation, "increment", "expected the output in the place of the input");
  preparation->instruction->chunks = 1;
  preparation->nanoseconds = 2;
  return true;
}

void runIncrement(const Instruction* instruction, int64_t, void*) {
  uint32_t* counter = (uint32_t*)instruction->outputs[0].data;
  *counter += 1;
}

// continueIf: x[] -> y, the same; where it is 0 the step ends.
bool prepareContinueIf(Preparation* preparation) {
  Instruction* instruction = preparation->instruction;
  if (instruction->inputCount != 1 || instruction->outputCount != 1)
    return fail(preparation, "continueIf", "expected one input and one output");
  const Operand &x = instruction->inputs[0], &y = instruction->outputs[0];
  if (x.dtype != Dtype::float32 || y.dtype != Dtype::float32 || x.size != 1 || y.size != 1)
    return fail(preparation, "continueIf", "expected float32 tensors of one element");
  instruction->chunks = 1;
  instruction->guards = true;
  preparation->nanoseconds = 2;
  return true;
}

void runContinueIf(const Instruction* instruction, int64_t, void*) {
  *(float*)instruction->outputs[0].data = *(const float*)instruction->inputs[0].data;
}

Outcome finishContinueIf(const Instruction* instruction) {
  return *(const float*)instruction->outputs[0].data == 0 ? Outcome::endStep : Outcome::proceed;
}

// checkFinite: x0 … xn -> y int32[], 1 when no element is NaN or infinite, else 0, and the step stops here.
// Chunks are ranges of all the inputs' elements laid end to end; each leaves one flag in `shared`. Integers are finite.
struct CheckFinite {
  int64_t chunk;  // elements
};

bool prepareCheckFinite(Preparation* preparation) {
  Instruction* instruction = preparation->instruction;
  if (instruction->outputCount != 1) return fail(preparation, "checkFinite", "expected one output");
  const Operand& y = instruction->outputs[0];
  if (y.dtype != Dtype::int32 || y.size != 1) return fail(preparation, "checkFinite", "expected an int32 output of one element");
  int64_t elements = 0;
  for (int64_t i = 0; i < instruction->inputCount; i++) elements += instruction->inputs[i].size;
  CheckFinite* c = (CheckFinite*)instruction->parameters;
  c->chunk = chunkOf(elements, preparation->threads);
  instruction->chunks = quotientUp(elements, c->chunk);
  if (instruction->chunks == 0) instruction->chunks = 1;  // so that `finish` runs
  instruction->guards = true;
  preparation->sharedBytes = instruction->chunks * (int64_t)sizeof(float);
  preparation->nanoseconds = 20 + (double)instruction->inputCount * 3 + (double)elements * (kWidth == 1 ? 0.1 : 0.06);
  return true;
}

// Adds 0 to the total for every finite element, and NaN for any other: x - x is 0 for a finite x alone. Four sums, so that none waits for the
// one before.
Float addDifferences(Float sum, const float* x, int64_t n) {
  constexpr int kSums = 4;
  int64_t i = 0;
  if (n >= kSums * kWidth) {
    Float total[kSums];
    THALWEG_UNROLL for (int k = 0; k < kSums; k++) total[k] = splat(0.0f);
    for (; i + kSums * kWidth <= n; i += kSums * kWidth) {
      THALWEG_UNROLL for (int k = 0; k < kSums; k++) {
        Float values = load(x + i + k * kWidth);
        total[k] = total[k] + (values - values);
      }
    }
    THALWEG_UNROLL for (int k = 0; k < kSums; k++) sum = sum + total[k];
  }
  for (; i < n; i += kWidth) {
    Float values = i + kWidth <= n ? load(x + i) : loadPartial(x + i, (int)(n - i));
    sum = sum + (values - values);
  }
  return sum;
}

void runCheckFinite(const Instruction* instruction, int64_t chunk, void*) {
  const int64_t each = ((const CheckFinite*)instruction->parameters)->chunk;
  Lanes16 total = zero16();
  forPieces(instruction, chunk * each, each, [&](const Operand& x, int64_t from, int64_t n) {
    if (x.dtype == Dtype::float32) total.part[0] = addDifferences(total.part[0], (const float*)x.data + from, n);
  });
  instruction->shared[chunk] = sum16(total) == 0 ? 1.0f : 0.0f;
}

Outcome finishCheckFinite(const Instruction* instruction) {
  bool finite = true;
  for (int64_t chunk = 0; chunk < instruction->chunks; chunk++) finite = finite && instruction->shared[chunk] != 0;
  *(int32_t*)instruction->outputs[0].data = finite;
  return finite ? Outcome::proceed : Outcome::stopRun;
}

const Kernel kernels[] = {
    // name, parameters, prepare, run, finish
    {"assign", 0, prepareAssign, runAssign, nullptr},                             // variable value -> variable
    {"update", sizeof(Update), prepareUpdate, runUpdate, nullptr},                // v0 … vn-1 x … -> v0 … vn-1
    {"sgd", sizeof(Sgd), prepareSgd, runSgd, nullptr},                            // p g v lr -> p v, or p g lr -> p
    {"adam", sizeof(Adam), prepareAdam, runAdam, nullptr},                        // p g m v lr step -> p m v
    {"increment", 0, prepareIncrement, runIncrement, nullptr},                    // counter -> counter
    {"continueIf", 0, prepareContinueIf, runContinueIf, finishContinueIf},        // x -> y
    {"checkFinite", sizeof(CheckFinite), prepareCheckFinite, runCheckFinite, finishCheckFinite},    // x0 x1 … -> y
};

}  // namespace

extern const KernelFamily updateFamily;
const KernelFamily updateFamily = {kernels, sizeof kernels / sizeof kernels[0]};

}  // namespace THALWEG_ISA
}  // namespace thalweg
