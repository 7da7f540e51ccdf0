// Elementwise chains: y = f(inputs), element by element, in one pass over memory.
//
// A chain is a list of steps such as "add 0 1", "relu 2". Operand i below the number of inputs is input i, the next
// ones are the results of the steps in order, and the result of the last step is y. Inputs broadcast to the shape of
// y as in NumPy. y may be the same memory as an input of its own shape.
//
// The chain runs on tiles of at most kTile elements, whose intermediate results stay in the first-level cache.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../simd/math.h"
#include "../simd/simd.h"
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
THALWEG_INLINE Float castStep(Float x) { return toFloat(bits(x)); }

template <Float (*step)(Float)>
void unary(const float* const* operands, float* y, int64_t n) {
  const float* x = operands[0];
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, step(load(x + i)));
  int rest = (int)(n - i);
  if (rest > 0) storePartial(y + i, step(loadPartial(x + i, rest)), rest);
}

template <Float (*step)(Float, Float)>
void binary(const float* const* operands, float* y, int64_t n) {
  const float *a = operands[0], *b = operands[1];
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, step(load(a + i), load(b + i)));
  int rest = (int)(n - i);
  if (rest > 0) storePartial(y + i, step(loadPartial(a + i, rest), loadPartial(b + i, rest)), rest);
}

void where(const float* const* operands, float* y, int64_t n) {
  const float *condition = operands[0], *a = operands[1], *b = operands[2];
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth)
    store(y + i, select(notEqual(load(condition + i), splat(0.0f)), load(a + i), load(b + i)));
  int rest = (int)(n - i);
  if (rest > 0) {
    Mask chosen = notEqual(loadPartial(condition + i, rest), splat(0.0f));
    storePartial(y + i, select(chosen, loadPartial(a + i, rest), loadPartial(b + i, rest)), rest);
  }
}

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
    {"power", 2, powerTile, 5.0f, false},                         // a b -> a^b
    {"greater", 2, binary<greaterStep>, 0.05f, false},            // a b -> 1 where a > b, else 0
    {"greaterEqual", 2, binary<greaterEqualStep>, 0.05f, false},  // a b -> 1 where a >= b, else 0
    {"less", 2, binary<lessStep>, 0.05f, false},                  // a b -> 1 where a < b, else 0
    {"lessEqual", 2, binary<lessEqualStep>, 0.05f, false},        // a b -> 1 where a <= b, else 0
    {"equal", 2, binary<equalStep>, 0.05f, false},                // a b -> 1 where a = b, else 0
    {"notEqual", 2, binary<notEqualStep>, 0.05f, false},          // a b -> 1 where a != b or either is NaN, else 0
    {"where", 3, where, 0.07f, false},                            // condition a b -> a where condition != 0, else b
    {"negate", 1, unary<negate>, 0.04f, false},                   // x -> -x
    {"abs", 1, unary<absolute>, 0.04f, false},                    // x -> abs(x)
    {"sign", 1, unary<signStep>, 0.05f, false},                   // x -> 1, -1, or x itself when it is 0 or NaN
    {"exp", 1, unary<exp>, 0.4f, false},                          // x -> e^x
    {"log", 1, unary<log>, 0.6f, false},                          // x -> ln x, NaN for x < 0
    {"sqrt", 1, unary<squareRoot>, 0.2f, false},                  // x -> sqrt(x)
    {"square", 1, unary<squareStep>, 0.04f, false},               // x -> x^2
    {"reciprocal", 1, unary<reciprocalStep>, 0.15f, false},       // x -> 1 / x
    {"erf", 1, unary<erf>, 0.7f, false},                          // x -> erf(x)
    {"sigmoid", 1, unary<sigmoid>, 0.5f, false},                  // x -> 1 / (1 + e^-x)
    {"tanh", 1, unary<tanh>, 0.4f, false},                        // x -> tanh(x)
    {"relu", 1, unary<reluStep>, 0.05f, false},                   // x -> 0 where x < 0, else x (NaN stays)
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

constexpr int kMaxInputs = 16, kMaxSteps = 32, kMaxDims = 8;
constexpr int64_t kTile = 512;
// A tile in scratch memory has room for one vector more, so that filling a row may write past its end.
constexpr int64_t kTileStride = kTile + 16;
constexpr int64_t kChunkAlignment = 1024;

// How a tile of an input is found.
enum Access : int32_t {
  kUnused,
  kWhole,     // as large as y: read in place
  kScalar,    // one element: a tile of copies, made once per chunk
  kPeriodic,  // a row repeated, tiles hold whole rows: expanded once per chunk
  kExpanded,  // any other broadcast: expanded for each tile, or read in place where the tile lies in one row
};

struct Input {
  Access access;
  int32_t slot;               // its tile in scratch memory
  int64_t strides[kMaxDims];  // in elements per merged dimension, innermost first; 0 repeats
};

struct Step {
  TileFunction tile;
  int32_t arity;
  int32_t operands[3];  // i < kMaxInputs: input i; kMaxInputs + k: the result of step k
  int32_t slot;         // its tile in scratch memory; the last step writes y instead
};

struct Chain {
  Input inputs[kMaxInputs];
  Step steps[kMaxSteps];
  int64_t inputCount, stepCount;
  // The dimensions of y, merged where all broadcast inputs allow it, innermost first.
  int64_t dims, extents[kMaxDims];
  int64_t tile, chunk;  // elements
  bool single;          // one step, all operands whole: no tiles needed
};

// What a step dominated by arithmetic costs here, relative to vectors of eight. Without vectors, most of it is fmaf.
constexpr float kSlowdown = kWidth == 1 ? 20.0f : 8.0f / kWidth;

// Reads "name i j": the name into `name`, the numbers into `operands`, and how many into `count`.
bool splitStep(const char* text, char name[32], int64_t operands[3], int32_t* count) {
  const char* space = strchr(text, ' ');
  size_t length = space ? (size_t)(space - text) : strlen(text);
  if (length == 0 || length >= 32) return false;
  memcpy(name, text, length);
  name[length] = 0;
  *count = 0;
  for (text += length; *text; (*count)++) {
    if (*text++ != ' ' || *text < '0' || *text > '9' || *count == 3) return false;
    int64_t value = 0;
    for (; *text >= '0' && *text <= '9'; text++) value = value < 1000 ? value * 10 + (*text - '0') : value;
    operands[*count] = value;
  }
  return true;
}

bool readSteps(Preparation* p, Chain* chain, float* cost) {
  const Instruction& instruction = *p->instruction;
  int64_t count;
  const char* const* texts = attributeTexts(p->attributes, "steps", &count);
  if (count < 1 || count > kMaxSteps) {
    snprintf(p->error, sizeof p->error, "elementwise: a chain has 1 to %d steps, got %lld", kMaxSteps, (long long)count);
    return false;
  }
  chain->stepCount = count;
  *cost = 0;
  for (int64_t k = 0; k < count; k++) {
    Step& step = chain->steps[k];
    char name[32];
    int64_t operands[3];
    int32_t operandCount;
    const StepOp* op = splitStep(texts[k], name, operands, &operandCount) ? findStep(name) : nullptr;
    if (!op) {
      snprintf(p->error, sizeof p->error, "elementwise: step %lld is unknown or malformed, got \"%.60s\"", (long long)k,
               texts[k]);
      return false;
    }
    if (operandCount != op->arity) {
      snprintf(p->error, sizeof p->error, "elementwise: step %lld, %s, takes %d operands, got \"%.60s\"", (long long)k,
               name, op->arity, texts[k]);
      return false;
    }
    for (int32_t i = 0; i < operandCount; i++) {
      int64_t operand = operands[i];
      bool isInput = operand < chain->inputCount;
      if (operand >= chain->inputCount + k) {
        snprintf(p->error, sizeof p->error,
                 "elementwise: step %lld can use the operands below %lld (%lld inputs and the steps before it), got \"%.60s\"",
                 (long long)k, (long long)(chain->inputCount + k), (long long)chain->inputCount, texts[k]);
        return false;
      }
      Dtype expected = op->readsInts ? Dtype::int32 : Dtype::float32;
      Dtype actual = isInput ? instruction.inputs[operand].dtype : Dtype::float32;
      if (actual != expected) {
        snprintf(p->error, sizeof p->error, "elementwise: step %lld, %s, reads %s, but operand %lld is %s", (long long)k,
                 name, op->readsInts ? "int32" : "float32", (long long)operand, op->readsInts ? "float32" : "int32");
        return false;
      }
      if (isInput) chain->inputs[operand].access = kWhole;  // refined by mergeDimensions
      step.operands[i] = (int32_t)(isInput ? operand : kMaxInputs + operand - chain->inputCount);
    }
    step.tile = op->tile;
    step.arity = op->arity;
    *cost += op->cost > 0.3f ? op->cost * kSlowdown : op->cost;
  }
  return true;
}

// Finds how each input is read, and merges neighbouring dimensions of y wherever no broadcast input tells them apart.
// A dimension joins the one inside it when, for each such input, it continues it (same repetition, or contiguous).
bool mergeDimensions(Preparation* p, Chain* chain) {
  const Instruction& instruction = *p->instruction;
  const Operand& y = instruction.outputs[0];
  int64_t running[kMaxInputs];  // stride of the dimension at hand, if it is not repeated
  bool broadcasts[kMaxInputs];
  for (int64_t i = 0; i < chain->inputCount; i++) {
    const Operand& x = instruction.inputs[i];
    Input& input = chain->inputs[i];
    bool fits = x.rank <= y.rank;
    for (int64_t d = 0; fits && d < x.rank; d++)
      fits = x.shape[d] == 1 || x.shape[d] == y.shape[y.rank - x.rank + d];
    if (!fits) {
      snprintf(p->error, sizeof p->error, "elementwise: input %lld of rank %lld does not broadcast to the output of rank %lld",
               (long long)i, (long long)x.rank, (long long)y.rank);
      return false;
    }
    running[i] = 1;
    if (input.access != kUnused && x.size != y.size) input.access = x.size == 1 ? kScalar : kExpanded;
    broadcasts[i] = input.access == kExpanded;
  }
  chain->dims = 0;
  for (int64_t d = y.rank - 1; d >= 0; d--) {
    int64_t extent = y.shape[d];
    if (extent == 1) continue;
    int64_t strides[kMaxInputs];
    bool joins = chain->dims > 0;
    int64_t last = chain->dims - 1;
    for (int64_t i = 0; i < chain->inputCount; i++) {
      if (!broadcasts[i]) continue;
      const Operand& x = instruction.inputs[i];
      int64_t own = d - (y.rank - x.rank);
      int64_t xExtent = own < 0 ? 1 : x.shape[own];
      strides[i] = xExtent == 1 ? 0 : running[i];
      running[i] *= xExtent;
      if (joins) joins = strides[i] == chain->inputs[i].strides[last] * chain->extents[last];
    }
    if (joins) {
      chain->extents[last] *= extent;
      continue;
    }
    if (chain->dims == kMaxDims) {
      snprintf(p->error, sizeof p->error, "elementwise: this broadcast needs more than %d dimensions", kMaxDims);
      return false;
    }
    chain->extents[chain->dims] = extent;
    for (int64_t i = 0; i < chain->inputCount; i++)
      if (broadcasts[i]) chain->inputs[i].strides[chain->dims] = strides[i];
    chain->dims++;
  }
  return true;
}

// Tiles of short rows hold whole rows, so that a repeated row looks the same in each tile. The number of rows is such
// that tiles start on a cache line where possible.
void chooseTile(Chain* chain) {
  chain->tile = kTile;
  bool anyExpanded = false;
  for (int64_t i = 0; i < chain->inputCount; i++) anyExpanded |= chain->inputs[i].access == kExpanded;
  int64_t row = chain->dims > 0 ? chain->extents[0] : kTile;
  if (!anyExpanded || row > kTile) return;
  int64_t rows = kTile / row, rowsPerLine = 16;
  for (int64_t odd = row; rowsPerLine > 1 && odd % 2 == 0; odd /= 2) rowsPerLine /= 2;
  if (rows > rowsPerLine) rows -= rows % rowsPerLine;
  chain->tile = rows * row;
  for (int64_t i = 0; i < chain->inputCount; i++) {
    Input& input = chain->inputs[i];
    bool onlyInnermost = input.strides[0] == 1;
    for (int64_t d = 1; d < chain->dims; d++) onlyInnermost &= input.strides[d] == 0;
    if (input.access == kExpanded && onlyInnermost) input.access = kPeriodic;
  }
}

// Gives tiles of scratch memory to inputs (for good) and to steps (until their last use). A step may write over its
// own operand. Returns how many tiles there are.
int32_t assignSlots(Chain* chain) {
  int32_t slots = 0;
  for (int64_t i = 0; i < chain->inputCount; i++)
    if (chain->inputs[i].access > kWhole) chain->inputs[i].slot = slots++;
  int32_t firstStepSlot = slots;
  int64_t lastUse[kMaxSteps];
  for (int64_t k = 0; k < chain->stepCount; k++) {
    lastUse[k] = k;
    for (int32_t i = 0; i < chain->steps[k].arity; i++)
      if (chain->steps[k].operands[i] >= kMaxInputs) lastUse[chain->steps[k].operands[i] - kMaxInputs] = k;
  }
  int64_t busyUntil[kMaxSteps];  // by slot: the last step that reads it
  for (int64_t k = 0; k + 1 < chain->stepCount; k++) {
    int32_t slot = firstStepSlot;
    while (slot < slots && busyUntil[slot - firstStepSlot] > k) slot++;
    if (slot == slots) slots++;
    busyUntil[slot - firstStepSlot] = lastUse[k];
    chain->steps[k].slot = slot;
  }
  return slots;
}

// Pieces of about 16 microseconds; smaller ones, down to 4, when there are too few for the threads.
int64_t chooseChunk(const Chain* chain, int64_t size, double costPerElement, int64_t threads) {
  double ideal = 16000.0 / costPerElement, smallest = 4000.0 / costPerElement;
  double share = (double)size / (double)(4 * threads);
  if (ideal > share) ideal = share > smallest ? share : smallest;
  if (ideal > (double)size) ideal = (double)size;
  int64_t unit = chain->tile == kTile ? kChunkAlignment : chain->tile;
  int64_t units = (int64_t)(ideal / (double)unit);
  return units < 1 ? unit : units * unit;
}

bool prepareElementwise(Preparation* p) {
  Instruction& instruction = *p->instruction;
  Chain* chain = (Chain*)instruction.parameters;
  if (instruction.inputCount > kMaxInputs || instruction.outputCount != 1) {
    snprintf(p->error, sizeof p->error, "elementwise: expected at most %d inputs and 1 output, got %lld and %lld", kMaxInputs,
             (long long)instruction.inputCount, (long long)instruction.outputCount);
    return false;
  }
  const Operand& y = instruction.outputs[0];
  if (y.dtype != Dtype::float32) return fail(p, "elementwise", "the output is float32, got int32");
  chain->inputCount = instruction.inputCount;
  float cost;
  if (!readSteps(p, chain, &cost) || !mergeDimensions(p, chain)) return false;
  p->scratchBytes = p->sharedBytes = 0;
  p->nanoseconds = 0;
  instruction.chunks = 0;
  if (y.size == 0) return true;
  chooseTile(chain);
  int32_t slots = assignSlots(chain);
  chain->single = chain->stepCount == 1;
  for (int64_t i = 0; i < chain->inputCount; i++) chain->single &= chain->inputs[i].access <= kWhole;

  int streams = 1;  // arrays that pass through the cache
  for (int64_t i = 0; i < chain->inputCount; i++) streams += chain->inputs[i].access == kWhole;
  double costPerElement = (double)cost + 0.05 * streams;
  chain->chunk = chooseChunk(chain, y.size, costPerElement, p->threads < 1 ? 1 : p->threads);
  instruction.chunks = quotientUp(y.size, chain->chunk);
  p->scratchBytes = slots * kTileStride * (int64_t)sizeof(float);
  p->nanoseconds = 20.0 + (double)y.size * costPerElement;
  return true;
}

// y[0 … n-1] = value, writing up to one vector more.
THALWEG_INLINE void fillRow(float* y, float value, int64_t n) {
  Float lanes = splat(value);
  for (int64_t i = 0; i < n; i += kWidth) store(y + i, lanes);
}

// y[0 … n-1] = x[0 … n-1], writing up to one vector more.
THALWEG_INLINE void copyRow(float* y, const float* x, int64_t n) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, load(x + i));
  if (i < n) store(y + i, loadPartial(x + i, (int)(n - i)));
}

// The elements begin … begin+n-1 of the input as broadcast to y: in place if they are contiguous there, else in `tile`.
const float* expand(const Chain* chain, const Input& input, const float* x, int64_t begin, int64_t n, float* tile) {
  int64_t row = chain->extents[0], column = begin % row;
  int64_t index[kMaxDims];
  int64_t offset = 0, rest = begin / row;
  for (int64_t d = 1; d < chain->dims; d++) {
    index[d] = rest % chain->extents[d];
    rest /= chain->extents[d];
    offset += index[d] * input.strides[d];
  }
  bool repeats = input.strides[0] == 0;
  if (column + n <= row && !repeats) return x + offset + column;
  for (float* y = tile; n > 0;) {
    int64_t count = row - column < n ? row - column : n;
    if (repeats) fillRow(y, x[offset], count);
    else copyRow(y, x + offset + column, count);
    y += count;
    n -= count;
    column = 0;
    for (int64_t d = 1; d < chain->dims; d++) {
      offset += input.strides[d];
      if (++index[d] < chain->extents[d]) break;
      offset -= input.strides[d] * chain->extents[d];
      index[d] = 0;
    }
  }
  return tile;
}

void runElementwise(const Instruction* instruction, int64_t chunkIndex, void* scratch) {
  const Chain* chain = (const Chain*)instruction->parameters;
  const Operand& output = instruction->outputs[0];
  float* y = (float*)output.data;
  int64_t begin = chunkIndex * chain->chunk;
  int64_t end = begin + chain->chunk < output.size ? begin + chain->chunk : output.size;

  const float* sources[kMaxInputs + kMaxSteps];
  const float* operands[3];
  if (chain->single) {
    const Step& step = chain->steps[0];
    for (int32_t i = 0; i < step.arity; i++)
      operands[i] = (const float*)instruction->inputs[step.operands[i]].data + begin;
    step.tile(operands, y + begin, end - begin);
    return;
  }

  float* tiles = (float*)scratch;
  int64_t firstTile = end - begin < chain->tile ? end - begin : chain->tile;
  bool expands = false;
  for (int64_t i = 0; i < chain->inputCount; i++) {
    const Input& input = chain->inputs[i];
    const float* x = (const float*)instruction->inputs[i].data;
    float* tile = tiles + input.slot * kTileStride;
    if (input.access == kScalar) fillRow(tile, *x, firstTile);
    sources[i] = input.access == kPeriodic ? expand(chain, input, x, begin, firstTile, tile) : tile;
    expands |= input.access == kExpanded;
  }
  for (int64_t k = 0; k + 1 < chain->stepCount; k++)
    sources[kMaxInputs + k] = tiles + chain->steps[k].slot * kTileStride;

  while (begin < end) {
    int64_t n = end - begin < chain->tile ? end - begin : chain->tile;
    if (expands) {
      // Long rows: end the tile where the row ends, so that inputs can be read in place.
      int64_t row = chain->extents[0], left = row - begin % row;
      if (row > chain->tile && left < n) n = left;
    }
    for (int64_t i = 0; i < chain->inputCount; i++) {
      const Input& input = chain->inputs[i];
      const float* x = (const float*)instruction->inputs[i].data;
      if (input.access == kWhole) sources[i] = x + begin;
      if (input.access == kExpanded) sources[i] = expand(chain, input, x, begin, n, tiles + input.slot * kTileStride);
    }
    for (int64_t k = 0; k < chain->stepCount; k++) {
      const Step& step = chain->steps[k];
      for (int32_t i = 0; i < step.arity; i++) operands[i] = sources[step.operands[i]];
      step.tile(operands, k + 1 < chain->stepCount ? tiles + step.slot * kTileStride : y + begin, n);
    }
    begin += n;
  }
}

const Kernel kernels[] = {
    // name, parameters, prepare, run, finish
    {"elementwise", sizeof(Chain), prepareElementwise, runElementwise, nullptr},  // inputs -> y
};

}  // namespace

extern const KernelFamily elementwiseFamily;
const KernelFamily elementwiseFamily = {kernels, sizeof kernels / sizeof kernels[0]};

}  // namespace THALWEG_ISA
}  // namespace thalweg
