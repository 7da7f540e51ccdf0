// Random numbers that are a function of their place: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011). Nothing is carried from one number to the next, so any element can be
// computed at any time, by any thread, and again.
#include "kernel.h"

#include <stdio.h>
#include <string.h>

#include "../simd/simd.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

// Both ops have the operands
//
//   seed int32[2], step int32[] -> y float32, any shape; i counts its elements.
//
// Elements come in groups: what sixteen counters give. Lane l of a group has
//   out = philox(counter, key),  counter = (low32(16 group + l), high32(16 group + l), step, stream),
//                                key = (seed[0], seed[1])
// and lane l of a vector is lane l of the counters, so no element ever changes lanes.

// What is drawn, and how it is shared out.
struct Draw {
  int64_t groups, groupsPerChunk;
  int32_t stream;
};

// bernoulli: y[i] = `value` with the given probability, else 0.
//
//   Sixteen bits an element. With group = i >> 7, r = i & 127, half = r >> 6, word = (r >> 4) & 3, lane = r & 15
//     drawn = half ? out[word] >> 16 : out[word] & 0xffff
//   and the element is kept if drawn < round(65536 probability), rounding halves up.
struct Bernoulli {
  static constexpr int64_t kGroup = 128;
  Draw draw;
  int32_t threshold;  // 0 … 65536
  float value;        // of a kept element
};

// uniform: y[i] = an odd multiple of 2^-24 within 0 … 1.
//
//   32 bits an element. With group = i >> 6, r = i & 63, word = r >> 4, lane = r & 15
//     y[i] = (out[word] >> 8 | 1) 2^-24
struct Uniform {
  static constexpr int64_t kGroup = 64;
  Draw draw;
};

bool prepareDraw(Preparation* preparation, const char* name, int64_t groupSize, double nanosecondsPerGroup, Draw* draw) {
  Instruction* instruction = preparation->instruction;
  if (instruction->inputCount != 2 || instruction->outputCount != 1)
    return fail(preparation, name, "expected seed and step as inputs, and one output");
  const Operand& seed = instruction->inputs[0];
  const Operand& step = instruction->inputs[1];
  const Operand& y = instruction->outputs[0];
  if (seed.dtype != Dtype::int32 || seed.size != 2 || step.dtype != Dtype::int32 || step.size != 1)
    return fail(preparation, name, "expected an int32 seed of two elements and an int32 step of one");
  if (y.dtype != Dtype::float32) return fail(preparation, name, "expected a float32 output");
  double stream = attributeNumber(preparation->attributes, "stream", 0);
  if (!(stream >= 0 && stream <= 4294967295.0)) {
    snprintf(preparation->error, sizeof preparation->error, "%s: expected a stream from 0 to 2^32 - 1, got %g", name, stream);
    return false;
  }
  draw->stream = (int32_t)(uint32_t)stream;
  draw->groups = quotientUp(y.size, groupSize);
  int64_t groups = draw->groups / (4 * preparation->threads);
  draw->groupsPerChunk = groups < 64 ? 64 : groups > 512 ? 512 : groups;
  instruction->chunks = quotientUp(draw->groups, draw->groupsPerChunk);
  preparation->nanoseconds = 30 + (double)y.size / (double)groupSize * nanosecondsPerGroup;
  return true;
}

constexpr double kNanosecondsPerGroup = 128 * (kWidth == 1 ? 1.3 : kWidth == 4 ? 0.9 : kWidth == 8 ? 0.4 : 0.22);

bool prepareBernoulli(Preparation* preparation) {
  Bernoulli* b = (Bernoulli*)preparation->instruction->parameters;
  double probability = attributeNumber(preparation->attributes, "probability", 0.5);
  if (!(probability >= 0 && probability <= 1)) {
    snprintf(preparation->error, sizeof preparation->error, "bernoulli: expected a probability from 0 to 1, got %g", probability);
    return false;
  }
  b->value = (float)attributeNumber(preparation->attributes, "value", 1);
  b->threshold = (int32_t)(probability * 65536 + 0.5);
  return prepareDraw(preparation, "bernoulli", Bernoulli::kGroup, kNanosecondsPerGroup, &b->draw);
}

bool prepareUniform(Preparation* preparation) {
  Uniform* u = (Uniform*)preparation->instruction->parameters;
  return prepareDraw(preparation, "uniform", Uniform::kGroup, kNanosecondsPerGroup, &u->draw);
}

struct Counter {
  Int word[4];
};
struct Product {
  Int low, high;  // the halves of an unsigned 64-bit product
};

#if defined(THALWEG_ISA_AVX2) || defined(THALWEG_ISA_AVX512)
#define THALWEG_EVEN_LANES_ONLY 1
// x86 multiplies even lanes only, and the 64 bits take the place of an even and an odd lane. So here the odd lanes may
// hold anything: the low half is in place already, and the high half is one shuffle away.
#if defined(THALWEG_ISA_AVX2)
THALWEG_INLINE Int wideProduct(Int a, Int b) { return {_mm256_mul_epu32(a.v, b.v)}; }
THALWEG_INLINE Int oddToEven(Int x) { return {_mm256_shuffle_epi32(x.v, 0xf5)}; }
THALWEG_INLINE Int interleave(Int even, Int odd) {
  return {_mm256_blend_epi32(even.v, _mm256_shuffle_epi32(odd.v, 0xa0), 0xaa)};
}
#else
THALWEG_INLINE Int wideProduct(Int a, Int b) { return {_mm512_maskz_mul_epu32(0xff, a.v, b.v)}; }
THALWEG_INLINE Int oddToEven(Int x) { return {_mm512_maskz_shuffle_epi32(0xffff, x.v, (_MM_PERM_ENUM)0xf5)}; }
THALWEG_INLINE Int interleave(Int even, Int odd) {
  return {_mm512_mask_shuffle_epi32(even.v, 0xaaaa, odd.v, (_MM_PERM_ENUM)0xa0)};
}
#endif
THALWEG_INLINE Product multiply(Int a, Int b) {
  Int product = wideProduct(a, b);
  return {product, oddToEven(product)};
}
#else
THALWEG_INLINE Product multiply(Int a, Int b) { return {multiplyLow(a, b), multiplyHigh(a, b)}; }
#endif

constexpr int kRounds = 10;

// The keys of all rounds, in every lane. NOTE: in memory, where an instruction can take them from; made in the rounds
// they cost a sixth of all the time.
struct Keys {
  alignas(64) int32_t word[2][kRounds][kWidth];
};

THALWEG_INLINE void expandKeys(Keys* keys, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < kRounds; round++) {
    storeInt(keys->word[0][round], splatInt((int32_t)key0));
    storeInt(keys->word[1][round], splatInt((int32_t)key1));
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

THALWEG_INLINE void philoxRound(Counter& c, Int key0, Int key1) {
  Product a = multiply(c.word[0], splatInt((int32_t)0xD2511F53u)), b = multiply(c.word[2], splatInt((int32_t)0xCD9E8D57u));
  c = {{b.high ^ c.word[1] ^ key0, b.low, a.high ^ c.word[3] ^ key1, a.low}};
}

THALWEG_INLINE Counter philox(Counter c, const Keys& keys) {
#if defined(THALWEG_EVEN_LANES_ONLY)
  // The counters in odd lanes are moved to even ones, worked on beside the others, and put between them.
  Counter odd;
  for (int word = 0; word < 4; word++) odd.word[word] = oddToEven(c.word[word]);
#endif
  THALWEG_UNROLL for (int round = 0; round < kRounds; round++) {
    Int key0 = loadInt(keys.word[0][round]), key1 = loadInt(keys.word[1][round]);
    philoxRound(c, key0, key1);
#if defined(THALWEG_EVEN_LANES_ONLY)
    philoxRound(odd, key0, key1);
#endif
  }
#if defined(THALWEG_EVEN_LANES_ONLY)
  for (int word = 0; word < 4; word++) c.word[word] = interleave(c.word[word], odd.word[word]);
#endif
  return c;
}

// What one vector of each of the four words becomes; `lane` is that of its first element.
THALWEG_INLINE void storeDrawn(float* y, int lane, const Counter& out, const Bernoulli& b) {
  Int threshold = splatInt(b.threshold);
  Float value = splat(b.value), zero = splat(0.0f);
  for (int word = 0; word < 4; word++) {
    store(y + word * 16 + lane, select(lessInt(out.word[word] & splatInt(0xffff), threshold), value, zero));
    store(y + 64 + word * 16 + lane, select(lessInt(shiftRightLogical<16>(out.word[word]), threshold), value, zero));
  }
}

THALWEG_INLINE void storeDrawn(float* y, int lane, const Counter& out, const Uniform&) {
  for (int word = 0; word < 4; word++)
    store(y + word * 16 + lane, toFloat(shiftRightLogical<8>(out.word[word]) | splatInt(1)) * splat(1.0f / 16777216.0f));
}

// The elements of one group.
template <typename Op> THALWEG_INLINE void fillGroup(float* y, uint64_t group, const Keys& keys, int32_t step, const Op& op) {
  alignas(64) static const int32_t lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  uint64_t first = 16 * group;
  for (int lane = 0; lane < 16; lane += kWidth) {
    // Sixteen counters never straddle a multiple of 2^32, so the lane adds to the low word alone.
    Int low = splatInt((int32_t)(uint32_t)first) + loadInt(lanes + lane);
    Int high = splatInt((int32_t)(uint32_t)(first >> 32));
    storeDrawn(y, lane, philox({{low, high, splatInt(step), splatInt(op.draw.stream)}}, keys), op);
  }
}

template <typename Op> void runDraw(const Instruction* instruction, int64_t chunk, void*) {
  const Op& op = *(const Op*)instruction->parameters;
  const int32_t* seed = (const int32_t*)instruction->inputs[0].data;
  int32_t step = *(const int32_t*)instruction->inputs[1].data;
  const Operand& output = instruction->outputs[0];
  float* y = (float*)output.data;
  Keys keys;
  expandKeys(&keys, (uint32_t)seed[0], (uint32_t)seed[1]);
  int64_t from = chunk * op.draw.groupsPerChunk, to = lesser(from + op.draw.groupsPerChunk, op.draw.groups);
  for (int64_t group = from; group < to; group++) {
    int64_t n = output.size - group * Op::kGroup;
    if (n >= Op::kGroup) {
      fillGroup(y + group * Op::kGroup, (uint64_t)group, keys, step, op);
    } else {
      alignas(64) float whole[Op::kGroup];
      fillGroup(whole, (uint64_t)group, keys, step, op);
      memcpy(y + group * Op::kGroup, whole, (size_t)n * sizeof *y);
    }
  }
}

const Kernel kernels[] = {
    // name, parameters, prepare, run, finish
    {"bernoulli", sizeof(Bernoulli), prepareBernoulli, runDraw<Bernoulli>, nullptr},  // seed step -> y
    {"uniform", sizeof(Uniform), prepareUniform, runDraw<Uniform>, nullptr},          // seed step -> y
};

}  // namespace

extern const KernelFamily randomFamily;
const KernelFamily randomFamily = {kernels, sizeof kernels / sizeof kernels[0]};

}  // namespace THALWEG_ISA
}  // namespace thalweg
