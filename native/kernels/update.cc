// Updates of variables in place: assign, update, sgd, adam; and what a step needs beside them: increment, continueIf, checkFinite.
//
// Each output is the input of the same name, in the same memory. An update is one flat pass. Steps of "update" are rounded
// to float one by one; for sgd and adam see updateRules.h. Stores are ordinary ones: the lines are in the cache, having just been read.
#include "chain.h"
#include "kernel.h"
#include "updateRules.h"

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
  *chunk = chunkOf(size, preparation->threads);
  preparation->instruction->chunks = quotientUp(size, *chunk);
  return true;
}

// sgd: p g v lr[] -> p v, or without momentum p g lr[] -> p.   adam: p g m v lr[] step int32[] -> p m v.   updateRules.h has the formulas.
struct RuleUpdate {
  int64_t chunk;  // elements
  int64_t threads;
  Rule rule;
};

bool prepareRuleUpdate(Preparation* preparation, const char* kernel, bool isAdam) {
  RuleUpdate* u = (RuleUpdate*)preparation->instruction->parameters;
  if (!prepareRule(preparation, kernel, isAdam, &u->rule)) return false;
  u->threads = preparation->threads;
  const int64_t arrays = 2 + u->rule.slots;
  if (!prepareArrays(preparation, kernel, arrays + (isAdam ? 2 : 1), arrays, &u->chunk)) return false;
  const Operand* inputs = preparation->instruction->inputs;
  if (!checkRuleScalars(preparation, kernel, u->rule, inputs + arrays)) return false;
  preparation->nanoseconds = (isAdam ? 60 : 20) + (double)inputs[0].size * ruleCost(u->rule);
  return true;
}

bool prepareSgd(Preparation* preparation) { return prepareRuleUpdate(preparation, "sgd", false); }
bool prepareAdam(Preparation* preparation) { return prepareRuleUpdate(preparation, "adam", true); }

// The products that come next read all parameters, and those that another core has written only slowly, a line at a time. Adam, which waits for its
// arithmetic, therefore fetches what the next thread has written shortly before, as long as all of it fits the L2 cache. Null: nothing.
constexpr int64_t kBehind = 6 * 1024;  // floats

const float* parametersToFetch(const RuleUpdate& u, const Operand& p, int64_t chunk, int64_t chunks) {
  const int64_t theirs = u.rule.isAdam && p.size <= kFloatsInL2 ? chunkOfNextThread(chunk, chunks, u.threads) : -1;
  return theirs < 0 ? nullptr : (const float*)p.data + greaterOf(0, theirs * u.chunk - kBehind);
}

void runRuleUpdate(const Instruction* instruction, int64_t chunk, void*) {
  const RuleUpdate& u = *(const RuleUpdate*)instruction->parameters;
  const Operand* inputs = instruction->inputs;
  const int64_t from = chunk * u.chunk, n = lesser(u.chunk, inputs[0].size - from), slots = u.rule.slots;
  const RuleScalars scalars = ruleScalars(u.rule, inputs + 2 + slots);
  float* slot = slots > 0 ? (float*)inputs[2].data + from : nullptr;
  float* secondSlot = slots > 1 ? (float*)inputs[3].data + from : nullptr;
  applyRule(u.rule, scalars, (float*)inputs[0].data + from, (const float*)inputs[1].data + from, slot, secondSlot, n,
            parametersToFetch(u, inputs[0], chunk, instruction->chunks));
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
    {"sgd", sizeof(RuleUpdate), prepareSgd, runRuleUpdate, nullptr},              // p g v lr -> p v, or p g lr -> p
    {"adam", sizeof(RuleUpdate), prepareAdam, runRuleUpdate, nullptr},            // p g m v lr step -> p m v
    {"increment", 0, prepareIncrement, runIncrement, nullptr},                    // counter -> counter
    {"continueIf", 0, prepareContinueIf, runContinueIf, finishContinueIf},        // x -> y
    {"checkFinite", sizeof(CheckFinite), prepareCheckFinite, runCheckFinite, finishCheckFinite},  // x0 x1 … -> y
};

}  // namespace

extern const KernelFamily updateFamily;
const KernelFamily updateFamily = {kernels, sizeof kernels / sizeof kernels[0]};

}  // namespace THALWEG_ISA
}  // namespace thalweg
