#include "updateRules.h"

#include <stdio.h>

#include "../simd/simd.h"
#include "support.h"

namespace thalweg {
namespace THALWEG_ISA {
namespace {

// How far ahead the parameters are fetched, in floats. Other threads have read them in their products, so that the first store to a
// line would wait for the word of every other core; fetched for writing, they wait side by side. Adam fetches all its arrays, twice as
// far ahead: a step reads more than the L2 cache holds, and hardware is late for what part of them has left it.
constexpr int64_t kAhead = 256;
constexpr bool kFetchesMeanwhile = kWidth == 16;  // AVX-512 machines have 1 or 2 MB of L2 cache; others may need all of theirs

bool expectRange(Preparation* preparation, const char* kernel, const char* name, double value, double end) {
  if (value >= 0 && value < end) return true;
  snprintf(preparation->error, sizeof preparation->error, "%s: expected %s to be at least 0 and below %g, got %g", kernel, name, end,
           value);
  return false;
}

struct SgdElement {
  Float p, v;
};

// Moments below 2^-111 become 0. Left alone, those of a unit that gets no gradient decay into denormals and stay there
// (0.9 x rounds back to x), and every step pays for them; next to epsilon they mean nothing. Below it, none of the four
// highest bits of the exponent is set.
constexpr int32_t kHighExponent = 0x78000000;
THALWEG_INLINE Float withoutRemnant(Float x) { return select(noCommonBit(bits(x), splatInt(kHighExponent)), splat(0.0f), x); }

template <bool hasMomentum>
THALWEG_INLINE SgdElement sgdElement(Float p, Float g, Float v, Float rate, const Rule& s) {
  Float d = s.weightDecay != 0.0f ? fma(splat(s.weightDecay), p, g) : g;
  if (!hasMomentum) return {fnma(rate, d, p), v};
  Float momentum = splat(s.momentum);
  v = withoutRemnant(fma(momentum, v, d));
  return {fnma(rate, s.nesterov ? fma(momentum, v, d) : v, p), v};
}

template <bool hasMomentum>
void updateSgd(float* p, const float* g, float* v, float learningRate, const Rule& s, int64_t n) {
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

// bases[i]^exponent by repeated squaring; exponent >= 0. Side by side and without branches, which the bits of a counter make hard to foresee: each
// chunk computes them anew.
void integerPowers(const double (&bases)[2], int64_t exponent, double (&powers)[2]) {
  double squares[2] = {bases[0], bases[1]};
  powers[0] = powers[1] = 1;
  for (; exponent > 0; exponent >>= 1) {
    for (int i = 0; i < 2; i++) {
      const double factors[2] = {1, squares[i]};
      powers[i] *= factors[exponent & 1];
      squares[i] *= squares[i];
    }
  }
}

// A root is iterated of kEnlarged times as much, for then the least moment is far from what is too small to iterate, and the largest finite.
constexpr float kEnlarged = 0x1p40f, kRootOfEnlarged = 0x1p20f, kLargestIterated = 0x1p60f;

struct AdamVectors {
  Float decay, oneMinusBeta1, oneMinusBeta2, rate, rootScale, epsilon;
  Float enlargedRootScale;  // rootScale for a root of kEnlarged times as much
};
struct AdamElement {
  Float p, m, v;
};

THALWEG_INLINE Float firstMoment(Float g, Float m, const AdamVectors& s) { return withoutRemnant(fma(s.oneMinusBeta1, g - m, m)); }
THALWEG_INLINE Float secondMoment(Float g, Float v, const AdamVectors& s) {
  return withoutRemnant(fnma(s.oneMinusBeta2, fnma(g, g, v), v));
}

template <bool hasDecay>
THALWEG_INLINE Float adamParameter(Float p, Float m, Float denominator, const AdamVectors& s) {
  if (hasDecay) p = fnma(s.decay, p, p);
  return fnma(s.rate, m / denominator, p);
}

template <bool hasDecay>
THALWEG_INLINE AdamElement adamElement(Float p, Float g, Float m, Float v, const AdamVectors& s) {
  m = firstMoment(g, m, s);
  v = secondMoment(g, v, s);
  return {adamParameter<hasDecay>(p, m, fma(squareRoot(v), s.rootScale, s.epsilon), s), m, v};
}

// Two vectors, where the root of the first can be iterated; else false, and nothing is written. Roots and quotients share one unit, which
// is what an element waits for, so every other root is iterated. Moments that are 0, as those of units that get no gradient, are no
// exception.
template <bool hasDecay>
THALWEG_INLINE bool updateAdamPair(float* p, const float* g, float* m, float* v, const AdamVectors& s) {
  const Float ga = load(g), gb = load(g + kWidth);
  const Float va = secondMoment(ga, load(v), s), vb = secondMoment(gb, load(v + kWidth), s);
  if (!all(less(va, splat(kLargestIterated)))) return false;
  const Float ma = firstMoment(ga, load(m), s), mb = firstMoment(gb, load(m + kWidth), s);
  store(m, ma);
  store(m + kWidth, mb);
  store(v, va);
  store(v + kWidth, vb);
  const Float enlarged = va * splat(kEnlarged);
  const Float denominatorA = fma(iterateSquareRoot(enlarged, reciprocalRootEstimate(enlarged)), s.enlargedRootScale, s.epsilon);
  const Float denominatorB = fma(squareRoot(vb), s.rootScale, s.epsilon);
  store(p, adamParameter<hasDecay>(load(p), ma, denominatorA, s));
  store(p + kWidth, adamParameter<hasDecay>(load(p + kWidth), mb, denominatorB, s));
  return true;
}

template <bool hasDecay>
THALWEG_INLINE void updateAdamVector(float* p, const float* g, float* m, float* v, const AdamVectors& s) {
  AdamElement e = adamElement<hasDecay>(load(p), load(g), load(m), load(v), s);
  store(p, e.p);
  store(m, e.m);
  store(v, e.v);
}

template <bool hasDecay>
void updateAdam(float* p, const float* g, float* m, float* v, const AdamVectors& scalars, int64_t n, const float* toFetch) {
  const AdamVectors s = scalars;  // a copy, which the compiler can see that no store changes
  int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    for (int64_t ahead = i + 2 * kAhead; ahead < lesser(n, i + 2 * kAhead + 2 * kWidth); ahead += 16) {  // a line of each array
      __builtin_prefetch(p + ahead, 1);
      __builtin_prefetch(g + ahead);
      __builtin_prefetch(m + ahead, 1);
      __builtin_prefetch(v + ahead, 1);
    }
    if (kFetchesMeanwhile)
      for (int64_t k = i; k < i + 2 * kWidth; k += 16) __builtin_prefetch(toFetch + k, 0, 2);
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

}  // namespace

bool prepareRule(Preparation* preparation, const char* kernel, bool isAdam, Rule* rule) {
  const Attributes* attributes = preparation->attributes;
  const double weightDecay = attributeNumber(attributes, "weightDecay", 0);
  const double momentum = attributeNumber(attributes, "momentum", 0);
  const double epsilon = attributeNumber(attributes, "epsilon", 1e-8);
  rule->isAdam = isAdam;
  rule->beta1 = attributeNumber(attributes, "beta1", 0.9);
  rule->beta2 = attributeNumber(attributes, "beta2", 0.999);
  if (!expectRange(preparation, kernel, "weightDecay", weightDecay, __builtin_inf())) return false;
  if (!isAdam && !expectRange(preparation, kernel, "momentum", momentum, __builtin_inf())) return false;
  if (isAdam && !expectRange(preparation, kernel, "beta1", rule->beta1, 1)) return false;
  if (isAdam && !expectRange(preparation, kernel, "beta2", rule->beta2, 1)) return false;
  if (isAdam && !expectRange(preparation, kernel, "epsilon", epsilon, __builtin_inf())) return false;
  rule->slots = isAdam ? 2 : momentum != 0 ? 1 : 0;
  rule->weightDecay = (float)weightDecay;
  rule->momentum = (float)momentum;
  rule->nesterov = attributeNumber(attributes, "nesterov", 0) != 0;
  rule->epsilon = (float)epsilon;
  rule->epsilonHat = attributeNumber(attributes, "epsilonHat", 0) != 0;
  return true;
}

bool checkRuleScalars(Preparation* preparation, const char* kernel, const Rule& rule, const Operand* scalars) {
  const Operand& rate = scalars[0];
  if (rate.dtype != Dtype::float32 || rate.size != 1) return fail(preparation, kernel, "expected a float32 learning rate of one element");
  if (rule.isAdam && (scalars[1].dtype != Dtype::int32 || scalars[1].size != 1))
    return fail(preparation, kernel, "expected an int32 step of one element");
  return true;
}

double ruleCost(const Rule& rule) {
  // Without vectors a fused multiply-add is a call.
  if (rule.isAdam) return kWidth == 1 ? 8 : kWidth == 4 ? 1.0 : 0.6;
  if (kWidth == 1) return rule.slots > 0 ? 2.1 : 0.9;
  return rule.slots > 0 ? 0.3 : 0.2;
}

RuleScalars ruleScalars(const Rule& rule, const Operand* scalars) {
  RuleScalars s = {};
  s.learningRate = *(const float*)scalars[0].data;
  if (!rule.isAdam) return s;
  const int64_t t = (int64_t)*(const int32_t*)scalars[1].data + 1;
  double powers[2];
  integerPowers({rule.beta1, rule.beta2}, t, powers);
  const double correction1 = 1 - powers[0], correction2 = 1 - powers[1];
  s.decay = s.learningRate * rule.weightDecay;
  s.oneMinusBeta1 = (float)(1 - rule.beta1);
  s.oneMinusBeta2 = (float)(1 - rule.beta2);
  s.rate = (float)(s.learningRate / correction1 * (rule.epsilonHat ? __builtin_sqrt(correction2) : 1));
  s.rootScale = rule.epsilonHat ? 1.0f : (float)(1 / __builtin_sqrt(correction2));
  return s;
}

void applyRule(const Rule& rule, const RuleScalars& scalars, float* p, const float* g, float* slot, float* secondSlot, int64_t n,
               const float* toFetch) {
  if (!rule.isAdam) {
    if (rule.slots > 0)
      updateSgd<true>(p, g, slot, scalars.learningRate, rule, n);
    else
      updateSgd<false>(p, g, nullptr, scalars.learningRate, rule, n);
    return;
  }
  const AdamVectors s = {splat(scalars.decay),
                         splat(scalars.oneMinusBeta1),
                         splat(scalars.oneMinusBeta2),
                         splat(scalars.rate),
                         splat(scalars.rootScale),
                         splat(rule.epsilon),
                         splat(scalars.rootScale / kRootOfEnlarged)};
  if (toFetch == nullptr) toFetch = p;  // which is there already
  if (rule.weightDecay != 0.0f)
    updateAdam<true>(p, g, slot, secondSlot, s, n, toFetch);
  else
    updateAdam<false>(p, g, slot, secondSlot, s, n, toFetch);
}

}  // namespace THALWEG_ISA
}  // namespace thalweg
