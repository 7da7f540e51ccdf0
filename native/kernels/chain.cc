#include "chain.h"

#include <stdio.h>
#include <string.h>

#include "../simd/simd.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

// A tile in scratch memory has room for one vector more, so that filling a row may write past its end.
constexpr int64_t kTileStride = kChainTile + 16;

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

bool readSteps(Preparation* p, const char* kernel, const Operand* const* inputs, int64_t fewest, Chain* chain) {
  int64_t count;
  const char* const* texts = attributeTexts(p->attributes, "steps", &count);
  if (count < fewest || count > kChainSteps) {
    snprintf(p->error, sizeof p->error, "%s: a chain has %lld to %d steps, got %lld", kernel, (long long)fewest, kChainSteps,
             (long long)count);
    return false;
  }
  chain->stepCount = count;
  chain->cost = 0;
  for (int64_t k = 0; k < count; k++) {
    ChainStep& step = chain->steps[k];
    char name[32];
    int64_t operands[3];
    int32_t operandCount;
    const StepOp* op = splitStep(texts[k], name, operands, &operandCount) ? findStep(name) : nullptr;
    if (!op) {
      snprintf(p->error, sizeof p->error, "%s: step %lld is unknown or malformed, got \"%.60s\"", kernel,
               (long long)k, texts[k]);
      return false;
    }
    if (operandCount != op->arity) {
      snprintf(p->error, sizeof p->error, "%s: step %lld, %s, takes %d operands, got \"%.60s\"", kernel,
               (long long)k, name, op->arity, texts[k]);
      return false;
    }
    for (int32_t i = 0; i < operandCount; i++) {
      int64_t operand = operands[i];
      bool isInput = operand < chain->inputCount;
      if (operand >= chain->inputCount + k) {
        snprintf(p->error, sizeof p->error,
                 "%s: step %lld can use the operands below %lld (%lld inputs and the steps before it), got \"%.60s\"",
                 kernel, (long long)k, (long long)(chain->inputCount + k), (long long)chain->inputCount, texts[k]);
        return false;
      }
      Dtype expected = op->readsInts ? Dtype::int32 : Dtype::float32;
      Dtype actual = isInput ? inputs[operand]->dtype : Dtype::float32;
      if (actual != expected) {
        snprintf(p->error, sizeof p->error, "%s: step %lld, %s, reads %s, but operand %lld is %s", kernel,
                 (long long)k, name, op->readsInts ? "int32" : "float32", (long long)operand, op->readsInts ? "float32" : "int32");
        return false;
      }
      if (isInput) chain->inputs[operand].access = kWhole;  // refined by mergeDimensions
      step.operands[i] = (int32_t)(isInput ? operand : kChainInputs + operand - chain->inputCount);
    }
    step.tile = op->functions.tile;
    step.vector = op->functions.vector;
    step.arity = op->arity;
    chain->cost += op->cost > 0.3f ? op->cost * kSlowdown : op->cost;
  }
  return true;
}

bool overlap(const Operand& a, const Operand& b) {
  const float *firstOfA = (const float*)a.data, *firstOfB = (const float*)b.data;
  return a.size > 0 && b.size > 0 && firstOfA < firstOfB + b.size && firstOfB < firstOfA + a.size;
}

// Decides for each result whether a step writes it where it belongs, or it is copied there when all steps are done.
bool placeResults(Preparation* p, const char* kernel, const Operand* const* inputs, const double* results, Chain* chain) {
  const Instruction& instruction = *p->instruction;
  for (int64_t i = 0; results && i < instruction.outputCount; i++) {
    if (results[i] >= 0 && results[i] < (double)(chain->inputCount + chain->stepCount)) continue;
    snprintf(p->error, sizeof p->error, "%s: result %lld is no operand", kernel, (long long)i);
    return false;
  }
  for (int64_t i = 0; i < instruction.outputCount; i++) {
    const Operand& y = instruction.outputs[i];
    const int64_t result = results ? (int64_t)results[i] : chain->inputCount + chain->stepCount - 1;
    if (y.size != instruction.outputs[0].size || y.dtype != Dtype::float32) {
      snprintf(p->error, sizeof p->error, "%s: output %lld differs from the first in size or is not float32", kernel, (long long)i);
      return false;
    }
    const int64_t step = result - chain->inputCount;
    if (step < 0 && chain->inputs[result].access == kUnused) chain->inputs[result].access = kWhole;
    bool direct = step >= 0 && chain->steps[step].result == nullptr;
    if (results) {
      // What the memory holds may be wanted by a later step, or as it is by another variable.
      for (int64_t k = step + 1; direct && k < chain->stepCount; k++) {
        for (int32_t j = 0; j < chain->steps[k].arity; j++) {
          const int32_t operand = chain->steps[k].operands[j];
          direct &= operand >= kChainInputs || !overlap(*inputs[operand], y);
        }
      }
      for (int64_t j = 0; j < instruction.outputCount; j++)
        direct &= results[j] >= (double)chain->inputCount || !overlap(*inputs[(int64_t)results[j]], y);
    }
    if (direct) {
      chain->steps[step].result = (float*)y.data;
      continue;
    }
    bool waits = false;
    for (int64_t j = 0; step < 0 && j < instruction.outputCount; j++) waits |= overlap(*inputs[result], instruction.outputs[j]);
    chain->copies[chain->copyCount++] = {(float*)y.data, (int32_t)(step < 0 ? result : kChainInputs + step), waits ? 0 : -1};
  }
  return true;
}

// Finds how each input is read, and merges neighbouring dimensions of y wherever no broadcast input tells them apart.
// A dimension joins the one inside it when, for each such input, it continues it (same repetition, or contiguous).
bool mergeDimensions(Preparation* p, const char* kernel, const Operand* const* inputs, Chain* chain) {
  const Operand& y = p->instruction->outputs[0];
  int64_t running[kChainInputs];  // stride of the dimension at hand, if it is not repeated
  bool broadcasts[kChainInputs];
  for (int64_t i = 0; i < chain->inputCount; i++) {
    const Operand& x = *inputs[i];
    ChainInput& input = chain->inputs[i];
    bool fits = x.rank <= y.rank;
    for (int64_t d = 0; fits && d < x.rank; d++)
      fits = x.shape[d] == 1 || x.shape[d] == y.shape[y.rank - x.rank + d];
    if (!fits) {
      snprintf(p->error, sizeof p->error, "%s: input %lld of rank %lld does not broadcast to the output of rank %lld", kernel,
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
    int64_t strides[kChainInputs];
    bool joins = chain->dims > 0;
    int64_t last = chain->dims - 1;
    for (int64_t i = 0; i < chain->inputCount; i++) {
      if (!broadcasts[i]) continue;
      const Operand& x = *inputs[i];
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
    if (chain->dims == kChainDims) {
      snprintf(p->error, sizeof p->error, "%s: this broadcast needs more than %d dimensions", kernel, kChainDims);
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
  chain->tile = kChainTile;
  bool anyExpanded = false;
  for (int64_t i = 0; i < chain->inputCount; i++) anyExpanded |= chain->inputs[i].access == kExpanded;
  int64_t row = chain->dims > 0 ? chain->extents[0] : kChainTile;
  if (!anyExpanded || row > kChainTile) return;
  int64_t rows = kChainTile / row, rowsPerLine = 16;
  for (int64_t odd = row; rowsPerLine > 1 && odd % 2 == 0; odd /= 2) rowsPerLine /= 2;
  if (rows > rowsPerLine) rows -= rows % rowsPerLine;
  chain->tile = rows * row;
  for (int64_t i = 0; i < chain->inputCount; i++) {
    ChainInput& input = chain->inputs[i];
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
  int64_t lastUse[kChainSteps];
  for (int64_t k = 0; k < chain->stepCount; k++) {
    lastUse[k] = k;
    for (int32_t i = 0; i < chain->steps[k].arity; i++)
      if (chain->steps[k].operands[i] >= kChainInputs) lastUse[chain->steps[k].operands[i] - kChainInputs] = k;
  }
  for (int64_t i = 0; i < chain->copyCount; i++)
    if (chain->copies[i].operand >= kChainInputs) lastUse[chain->copies[i].operand - kChainInputs] = chain->stepCount;
  int64_t busyUntil[kChainSteps];  // by slot: the last step that reads it
  for (int64_t k = 0; k < chain->stepCount; k++) {
    if (chain->steps[k].result) continue;
    int32_t slot = firstStepSlot;
    while (slot < slots && busyUntil[slot - firstStepSlot] > k) slot++;
    if (slot == slots) slots++;
    busyUntil[slot - firstStepSlot] = lastUse[k];
    chain->steps[k].slot = slot;
  }
  for (int64_t i = 0; i < chain->copyCount; i++)
    if (chain->copies[i].slot >= 0) chain->copies[i].slot = slots++;
  return slots;
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
const float* expand(const Chain& chain, const ChainInput& input, int64_t begin, int64_t n, float* tile) {
  const float* x = input.data;
  int64_t row = chain.extents[0], column = begin % row;
  int64_t index[kChainDims];
  int64_t offset = 0, rest = begin / row;
  for (int64_t d = 1; d < chain.dims; d++) {
    index[d] = rest % chain.extents[d];
    rest /= chain.extents[d];
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
    for (int64_t d = 1; d < chain.dims; d++) {
      offset += input.strides[d];
      if (++index[d] < chain.extents[d]) break;
      offset -= input.strides[d] * chain.extents[d];
      index[d] = 0;
    }
  }
  return tile;
}

void copyResults(const Chain& chain, int64_t begin, int64_t n, const float* const* sources, float* tiles) {
  for (int64_t i = 0; i < chain.copyCount; i++) {
    const ChainCopy& copy = chain.copies[i];
    if (copy.slot >= 0) copyRow(tiles + copy.slot * kTileStride, sources[copy.operand], n);
  }
  for (int64_t i = 0; i < chain.copyCount; i++) {
    const ChainCopy& copy = chain.copies[i];
    const float* x = copy.slot >= 0 ? tiles + copy.slot * kTileStride : sources[copy.operand];
    copyRun((int32_t*)copy.result + begin, (const int32_t*)x, n);
  }
}

// The elements begin … end-1 of y, tile by tile. `sources` holds the inputs that do not change from tile to tile.
void runTiles(const Chain& chain, int64_t begin, int64_t end, bool expands, const float** sources, float* tiles) {
  while (begin < end) {
    int64_t n = lesser(end - begin, chain.tile);
    if (expands) {
      // Long rows: end the tile where the row ends, so that inputs can be read in place.
      int64_t row = chain.extents[0], left = row - begin % row;
      if (row > chain.tile && left < n) n = left;
    }
    for (int64_t i = 0; i < chain.inputCount; i++) {
      const ChainInput& input = chain.inputs[i];
      if (input.access == kWhole) sources[i] = input.data + begin;
      if (input.access == kExpanded) sources[i] = expand(chain, input, begin, n, tiles + input.slot * kTileStride);
    }
    if (chain.ahead)
      for (int64_t i = 0; i < n; i += 16) __builtin_prefetch(chain.ahead + begin + n + i, 1);
    for (int64_t k = 0; k < chain.stepCount; k++) {
      const ChainStep& step = chain.steps[k];
      const float* operands[3];
      for (int32_t i = 0; i < step.arity; i++) operands[i] = sources[step.operands[i]];
      float* y = step.result ? step.result + begin : tiles + step.slot * kTileStride;
      step.tile(operands, y, n);
      sources[kChainInputs + k] = y;
    }
    if (chain.copyCount > 0) copyResults(chain, begin, n, sources, tiles);
    begin += n;
  }
}

// `count` elements of y, no more than a vector has, which pass through all steps in registers.
void runVector(const Chain& chain, int64_t begin, int count) {
  Float values[kChainInputs + kChainSteps];
  for (int64_t i = 0; i < chain.inputCount; i++) {
    const ChainInput& input = chain.inputs[i];
    if (input.access == kWhole) values[i] = loadPartial(input.data + begin, count);
    if (input.access == kScalar) values[i] = splat(*input.data);
  }
  for (int64_t k = 0; k < chain.stepCount; k++) {
    const ChainStep& step = chain.steps[k];
    const Float y = step.vector(values[step.operands[0]], values[step.operands[1]], values[step.operands[2]]);
    values[kChainInputs + k] = y;
    if (step.result) storePartial(step.result + begin, y, count);
  }
}

}  // namespace

bool prepareChain(Preparation* p, const char* kernel, const Operand* const* inputs, int64_t inputCount, Chain* chain,
                  const double* results) {
  const Operand& y = p->instruction->outputs[0];
  if (inputCount > kChainInputs) {
    snprintf(p->error, sizeof p->error, "%s: a chain has at most %d inputs, got %lld", kernel, kChainInputs,
             (long long)inputCount);
    return false;
  }
  if (y.dtype != Dtype::float32) return fail(p, kernel, "the output is float32, got int32");
  chain->y = (float*)y.data;
  chain->inputCount = inputCount;
  for (int64_t i = 0; i < inputCount; i++) chain->inputs[i].data = (const float*)inputs[i]->data;
  if (!readSteps(p, kernel, inputs, results ? 0 : 1, chain) || !placeResults(p, kernel, inputs, results, chain) ||
      !mergeDimensions(p, kernel, inputs, chain))
    return false;
  if (y.size == 0) return true;
  chooseTile(chain);
  chain->scratchBytes = assignSlots(chain) * kTileStride * (int64_t)sizeof(float);
  chain->single = chain->stepCount == 1 && chain->copyCount == 0;
  chain->vectors = chain->copyCount == 0;
  for (int64_t k = 0; k < chain->stepCount; k++) {
    ChainStep& step = chain->steps[k];
    chain->vectors &= step.vector != nullptr;
    for (int32_t i = step.arity; i < 3; i++) step.operands[i] = step.operands[0];
  }
  for (int64_t i = 0; i < inputCount; i++) {
    chain->vectors &= chain->inputs[i].access <= kScalar;
    chain->single &= chain->inputs[i].access <= kWhole;
    chain->wholeInputs += chain->inputs[i].access == kWhole;
  }
  return true;
}

void runChain(const Chain& chain, int64_t begin, int64_t count, int64_t rows, int64_t stride, float* scratch) {
  if (chain.single) {
    const ChainStep& step = chain.steps[0];
    const float* operands[3];
    for (; rows > 0; rows--, begin += stride) {
      for (int32_t i = 0; i < step.arity; i++) operands[i] = chain.inputs[step.operands[i]].data + begin;
      step.tile(operands, step.result + begin, count);
    }
    return;
  }
  if (chain.vectors && count <= kWidth) {
    for (; rows > 0; rows--, begin += stride) runVector(chain, begin, (int)count);
    return;
  }
  const float* sources[kChainInputs + kChainSteps];
  const int64_t firstTile = lesser(count, chain.tile);
  bool expands = false;
  for (int64_t i = 0; i < chain.inputCount; i++) {
    const ChainInput& input = chain.inputs[i];
    float* tile = scratch + input.slot * kTileStride;
    if (input.access == kScalar) fillRow(tile, *input.data, firstTile);
    sources[i] = input.access == kPeriodic ? expand(chain, input, begin, firstTile, tile) : tile;
    expands |= input.access == kExpanded;
  }
  for (; rows > 0; rows--, begin += stride) runTiles(chain, begin, begin + count, expands, sources, scratch);
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
