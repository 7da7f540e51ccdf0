// The rules of the optimizers that have kernels of their own, for any range of elements.
//
// Every element is computed by the formula below. Each operation is rounded to float, but a product that is added or subtracted is not rounded
// before that (a fused multiply-add).
#pragma once
#include "kernel.h"

namespace thalweg {
namespace THALWEG_ISA {

// sgd, of a parameter p, its gradient g and its velocity v, which there is with momentum only:
//   d = g + weightDecay p         (d = g when weightDecay is 0)
//   v = momentum v + d            (0 when below 2^-111)
//   p = p - lr (nesterov ? d + momentum v : v)
//
// adam, of p, g and the moments m and v, with t = step + 1; m and v below 2^-111 become 0:
//   p = p - (lr weightDecay) p                    (left out when weightDecay is 0)
//   m = m + (1 - beta1) (g - m)
//   v = v + (1 - beta2) (g g - v)
//   p = p - rate (m / (scale sqrt(v) + epsilon)),  rate = lr / (1 - beta1^t), scale = 1 / sqrt(1 - beta2^t);
//   with epsilonHat rate = lr sqrt(1 - beta2^t) / (1 - beta1^t), scale = 1
// 1 - beta, rate and scale are computed in double and rounded to float once.
// Kingma and Ba, "Adam", 2015, algorithm 1; the decay is Loshchilov and Hutter's (AdamW, 2019).
struct Rule {
  bool isAdam;
  int64_t slots;  // how many: velocity, or moments
  float weightDecay;
  float momentum;
  bool nesterov;
  double beta1, beta2;
  float epsilon;
  bool epsilonHat;
};

// Reads the attributes of the op of this name. False: `error` says what is wrong, in the name of `kernel`.
bool prepareRule(Preparation* preparation, const char* kernel, bool isAdam, Rule* rule);

// The inputs behind the arrays: a learning rate, and for adam a step. False: `error` says what is wrong.
bool checkRuleScalars(Preparation* preparation, const char* kernel, const Rule& rule, const Operand* scalars);

// Nanoseconds on one thread, for each element.
double ruleCost(const Rule& rule);

// What is the same for all elements of a step.
struct RuleScalars {
  float learningRate;
  float decay, oneMinusBeta1, oneMinusBeta2, rate, rootScale;  // adam
};

RuleScalars ruleScalars(const Rule& rule, const Operand* scalars);

// Updates n elements. Slots that the rule does not have are null. toFetch: null, or n floats that adam fetches into the L2 cache meanwhile (AVX-512).
void applyRule(const Rule& rule, const RuleScalars& scalars, float* p, const float* g, float* slot, float* secondSlot, int64_t n,
               const float* toFetch = nullptr);

}  // namespace THALWEG_ISA
}  // namespace thalweg
