// Measures the elementary functions of one instruction set against double libm, over all 2^32 floats, and proves that its square
// roots by iteration are correctly rounded.
//
//   ulp [--every N] [--function NAME] [--threads N]
//
// The error of a result is abs(result - exact) / ulp(exact rounded to float), where the ulp of a denormal is 2^-149
// and infinity counts as 2^128. `--every N` takes one float at random out of each N neighbours. Exits 1 when a bound
// is exceeded or a special value is wrong. Build, for instance:
//
//   FLAGS="-O3 -std=c++17 -ffp-contract=off"
//   ISA="-DTHALWEG_ISA=avx2 -DTHALWEG_ISA_AVX2=1"
//   g++ $FLAGS $ISA -mavx2 -mfma -c native/kernels/elementwise.cc native/kernels/chain.cc
//   g++ $FLAGS $ISA -mavx2 -mfma native/tests/ulp.cc elementwise.o chain.o native/runtime/attributes.cc -o ulp -lpthread
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "../kernels/steps.h"
#include "../simd/simd.h"

#define THALWEG_TEXT2(name) #name
#define THALWEG_TEXT(name) THALWEG_TEXT2(name)

namespace {

using thalweg::THALWEG_ISA::findStep;
using thalweg::THALWEG_ISA::StepOp;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr uint64_t kFloats = uint64_t(1) << 32;

double exactSigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double exactSoftplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
double exactGelu(double x) { return 0.5 * x * std::erfc(-x * 0.70710678118654752); }
double exactGeluTanh(double x) { return x / (1 + std::exp(-2 * 0.79788456080286536 * (x + 0.044715 * x * x * x))); }

struct Special {
  float x, y;
};

struct Function {
  const char* name;
  double (*exact)(double);
  double bound;  // in ulps; 0: for information only, with abs(result - exact) / max(1, abs(x))
  std::vector<Special> specials;
};

const Function kFunctions[] = {
    {"exp", [](double x) { return std::exp(x); }, 1.5,
     {{0, 1}, {-0.0f, 1}, {kInfinity, kInfinity}, {-kInfinity, 0}, {kNan, kNan}, {89, kInfinity}, {-104, 0}, {-1e30f, 0}}},
    {"log", [](double x) { return std::log(x); }, 1.5,
     {{0, -kInfinity}, {-0.0f, -kInfinity}, {1, 0}, {-1, kNan}, {-1e-45f, kNan}, {kInfinity, kInfinity}, {-kInfinity, kNan}, {kNan, kNan}}},
    {"sqrt", [](double x) { return std::sqrt(x); }, 0.5,
     {{0, 0}, {-0.0f, -0.0f}, {-1, kNan}, {-1e-45f, kNan}, {kInfinity, kInfinity}, {-kInfinity, kNan}, {kNan, kNan}}},
    {"tanh", [](double x) { return std::tanh(x); }, 3,
     {{0, 0}, {-0.0f, -0.0f}, {kInfinity, 1}, {-kInfinity, -1}, {kNan, kNan}, {-1e-45f, -1e-45f}}},
    {"erf", [](double x) { return std::erf(x); }, 1.5,
     {{0, 0}, {-0.0f, -0.0f}, {kInfinity, 1}, {-kInfinity, -1}, {kNan, kNan}, {-1e-45f, -1e-45f}}},
    {"sigmoid", exactSigmoid, 3,
     {{0, 0.5f}, {-0.0f, 0.5f}, {kInfinity, 1}, {-kInfinity, 0}, {kNan, kNan}}},
    {"softplus", exactSoftplus, 0,
     {{kInfinity, kInfinity}, {-kInfinity, 0}, {kNan, kNan}}},
    {"gelu", exactGelu, 0,
     {{0, 0}, {-0.0f, -0.0f}, {kInfinity, kInfinity}, {-kInfinity, -0.0f}, {kNan, kNan}}},
    {"geluTanh", exactGeluTanh, 0,
     {{0, 0}, {-0.0f, -0.0f}, {kInfinity, kInfinity}, {-kInfinity, -0.0f}, {kNan, kNan}}},
};

constexpr double kPowerBound = 1;

float floatOf(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

uint32_t bitsOf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

// Well mixed bits of a counter.
uint64_t mix(uint64_t x) {
  x = (x + 1) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
  return x ^ (x >> 32);
}

bool same(float a, float b) { return (a != a && b != b) || bitsOf(a) == bitsOf(b); }

double ulpError(float result, double exact) {
  if (exact != exact) return result != result ? 0 : HUGE_VAL;
  if (result != result) return HUGE_VAL;
  const double top = 0x1p128;
  double got = result == kInfinity ? top : result == -kInfinity ? -top : result;
  double want = exact > top ? top : exact < -top ? -top : exact;
  double magnitude = std::fabs((double)(float)want);
  uint64_t pattern;
  std::memcpy(&pattern, &magnitude, 8);
  int exponent = (int)(pattern >> 52) - 1023;
  exponent = exponent < -126 ? -126 : exponent > 127 ? 127 : exponent;
  return std::fabs(got - want) * std::ldexp(1.0, 23 - exponent);
}

struct Worst {
  double error = 0;
  float x = 0, y = 0;
  double absolute = 0;
  uint64_t count = 0;

  // The float with the smaller bit pattern wins a tie, so that the answer does not depend on the threads.
  void take(double e, float atX, float atY) {
    if (e > error || (e == error && e > 0 && bitsOf(atX) < bitsOf(x))) error = e, x = atX, y = atY;
  }
};

// Runs `block` for each number below `blocks`, on all threads, and combines what they found.
template <typename Block>
Worst sweep(uint64_t blocks, int threads, Block block) {
  std::atomic<uint64_t> next{0};
  std::vector<Worst> found(threads);
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; t++)
    workers.emplace_back([&, t] {
      Worst worst;
      for (uint64_t b; (b = next.fetch_add(1)) < blocks;) block(b, &worst);
      found[t] = worst;
    });
  for (std::thread& worker : workers) worker.join();
  Worst all;
  for (const Worst& one : found) {
    all.take(one.error, one.x, one.y);
    all.count += one.count;
    if (one.absolute > all.absolute) all.absolute = one.absolute;
  }
  return all;
}

constexpr int kBlock = 4096;

Worst measure(const Function& function, const StepOp* step, uint64_t every, int threads) {
  uint64_t samples = kFloats / every;
  return sweep((samples + kBlock - 1) / kBlock, threads, [&](uint64_t b, Worst* worst) {
    float x[kBlock], y[kBlock];
    const float* operands[] = {x};
    int n = 0;
    for (uint64_t i = b * kBlock; n < kBlock && i < samples; i++, n++)
      x[n] = floatOf((uint32_t)(i * every + (every > 1 ? mix(i) % every : 0)));
    step->functions.tile(operands, y, n);
    for (int i = 0; i < n; i++) {
      if (std::isnan(x[i]) || std::isinf(x[i])) continue;  // these are checked as special values
      double exact = function.exact(x[i]);
      worst->take(ulpError(y[i], exact), x[i], 0);
      double absolute = std::fabs(y[i] - exact) / std::fmax(1, std::fabs((double)x[i]));
      if (absolute > worst->absolute) worst->absolute = absolute;
      worst->count++;
    }
  });
}

// Powers of pairs: any two floats, then bases and exponents of everyday size, then bases near 1 with large exponents.
Worst measurePower(const StepOp* step, uint64_t every, int threads) {
  uint64_t blocks = (uint64_t(1) << 28) / every / kBlock + 1;
  return sweep(blocks, threads, [&](uint64_t b, Worst* worst) {
    float x[kBlock], y[kBlock], z[kBlock];
    const float* operands[] = {x, y};
    for (int i = 0; i < kBlock; i++) {
      uint64_t random = mix(b * kBlock + i), kind = random >> 62;
      x[i] = floatOf((uint32_t)random);
      y[i] = floatOf((uint32_t)(random >> 30));
      if (kind == 1) x[i] = floatOf((bitsOf(x[i]) & 0x07ffffff) + 0x3c000000), y[i] = (float)(random >> 40 & 0xffff) / 1024 - 32;
      if (kind == 2) x[i] = floatOf((bitsOf(x[i]) & 0x00ffffff) + 0x3f000000), y[i] = (float)(random >> 40 & 0xffff) - 32768;
      if (kind == 3) x[i] = (float)((int)(random & 0xff) - 128), y[i] = (float)((int)(random >> 8 & 0x3f) - 32);
    }
    step->functions.tile(operands, z, kBlock);
    for (int i = 0; i < kBlock; i++) {
      if (std::isnan(x[i]) || std::isinf(x[i]) || std::isnan(y[i]) || std::isinf(y[i])) continue;
      worst->take(ulpError(z[i], std::pow((double)x[i], (double)y[i])), x[i], y[i]);
      worst->count++;
    }
  });
}

int wrongSpecials(const Function& function, const StepOp* step) {
  int wrong = 0;
  for (const Special& special : function.specials) {
    float result;
    const float* operands[] = {&special.x};
    step->functions.tile(operands, &result, 1);
    if (same(result, special.y)) continue;
    std::printf("%s(%g): expected %g, got %g\n", function.name, special.x, special.y, result);
    wrong++;
  }
  return wrong;
}

int wrongPowerSpecials(const StepOp* step) {
  const float values[] = {0, 0.5f, 1, 1.5f, 2, 3, 16777215, 16777216, 1e30f, 1e-40f, kInfinity, kNan};
  int wrong = 0;
  for (float ax : values)
    for (float ay : values)
      for (int signs = 0; signs < 4; signs++) {
        float x = signs & 1 ? -ax : ax, y = signs & 2 ? -ay : ay, result;
        const float* operands[] = {&x, &y};
        step->functions.tile(operands, &result, 1);
        float expected = (float)std::pow((double)x, (double)y);
        if (same(result, expected)) continue;
        std::printf("power(%g, %g): expected %g, got %g\n", x, y, expected, result);
        wrong++;
      }
  return wrong;
}

// ---- Square roots by iteration ----

using namespace thalweg::THALWEG_ISA;

// How many of `count` floats get another root than `sqrt` says, from estimates of 1 / sqrt(x) or, without, from those of the instruction
// set, which must be as near as promised.
uint64_t wrongRoots(const float* x, const float* estimates, int count) {
  uint64_t wrong = 0;
  for (int i = 0; i < count; i += kWidth) {
    int n = count - i < kWidth ? count - i : kWidth;
    float padded[kWidth], estimate[kWidth], root[kWidth];
    for (int l = 0; l < kWidth; l++) padded[l] = x[l < n ? i + l : i], estimate[l] = estimates ? estimates[l < n ? i + l : i] : 0;
    if (!estimates) store(estimate, reciprocalRootEstimate(load(padded)));
    store(root, iterateSquareRoot(load(padded), load(estimate)));
    for (int l = 0; l < n; l++) {
      const double exact = std::sqrt((double)padded[l]);
      // To round to double first changes no square root of a float.
      if (bitsOf(root[l]) == bitsOf((float)exact) && std::fabs(estimate[l] * exact - 1) <= 0x1p-14) continue;
      if (wrong++ == 0) std::printf("sqrt(%a) from %a: got %a\n", padded[l], estimate[l], root[l]);
    }
  }
  return wrong;
}

// All floats from 2^-80 on, with the estimates of this processor.
Worst sweepRoots(uint64_t every, int threads) {
  const uint64_t first = bitsOf(0x1p-80f), samples = (bitsOf(kInfinity) - first) / every;
  std::atomic<uint64_t> wrong{0};
  Worst result = sweep((samples + kBlock - 1) / kBlock, threads, [&](uint64_t b, Worst* worst) {
    float x[kBlock];
    int n = 0;
    for (uint64_t i = b * kBlock; n < kBlock && i < samples; i++, n++)
      x[n] = floatOf((uint32_t)(first + i * every + (every > 1 ? mix(i) % every : 0)));
    wrong += wrongRoots(x, nullptr, n);
    worst->count += n;
  });
  result.error = (double)wrong;
  return result;
}

// All floats from 1 to 4, of which all others are multiples by powers of 4, whose roots lie within 2^-41 of the middle of two floats, with
// all estimates that are near enough. In units of 2^-24 such a middle is an odd number, and the square of a root is a multiple of 2^25, or
// from 2 on of 2^26.
Worst tryHardRoots() {
  Worst result;
  std::vector<float> x, estimates;
  for (int64_t middle = (1 << 24) + 1; middle < 1 << 25; middle += 2) {
    const int64_t square = middle * middle, unit = square < int64_t(1) << 49 ? 1 << 25 : 1 << 26;
    const int64_t nearest = (square + unit / 2) / unit * unit;
    if (std::llabs(nearest - square) > 1 << 9) continue;
    const float hard = (float)std::ldexp((double)nearest, -48);
    const double reciprocal = 1 / std::sqrt((double)hard);
    for (float y = (float)(reciprocal * (1 - 0x1p-14)); y <= reciprocal * (1 + 0x1p-14); y = std::nextafter(y, 2.0f)) {
      if (std::fabs(y * std::sqrt((double)hard) - 1) > 0x1p-14) continue;
      x.push_back(hard);
      estimates.push_back(y);
    }
  }
  result.error = (double)wrongRoots(x.data(), estimates.data(), (int)x.size());
  result.count = x.size();
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t every = 1;
  int threads = 2;
  const char* only = nullptr;
  for (int i = 1; i < argc; i += 2) {
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (!std::strcmp(argv[i], "--every") && std::atoll(value) > 0) every = (uint64_t)std::atoll(value);
    else if (!std::strcmp(argv[i], "--threads") && std::atoi(value) > 0) threads = std::atoi(value);
    else if (!std::strcmp(argv[i], "--function") && *value) only = value;
    else {
      std::fprintf(stderr, "usage: %s [--every N] [--function NAME] [--threads N]\n", argv[0]);
      return 2;
    }
  }
  int failures = 0;
  bool found = false;
  std::printf("%s\n%-10s %10s %8s %16s %12s %12s  %s\n", THALWEG_TEXT(THALWEG_ISA), "function", "worst ulp", "bound", "at x",
              "absolute", "floats", "specials");
  for (const Function& function : kFunctions) {
    if (only && std::strcmp(only, function.name)) continue;
    found = true;
    const StepOp* step = findStep(function.name);
    if (!step) {
      std::printf("%-10s there is no such step\n", function.name);
      failures++;
      continue;
    }
    int wrong = wrongSpecials(function, step);
    Worst worst = measure(function, step, every, threads);
    bool exceeded = function.bound > 0 && !(worst.error <= function.bound);
    char bound[16] = "-", absolute[16] = "-";
    if (function.bound > 0) std::snprintf(bound, sizeof bound, "%.1f", function.bound);
    else std::snprintf(absolute, sizeof absolute, "%.3g", worst.absolute);
    std::printf("%-10s %10.3g %8s %16.9g %12s %12llu  %s%s\n", function.name, worst.error, bound, worst.x, absolute,
                (unsigned long long)worst.count, wrong ? "WRONG" : "right", exceeded ? "  EXCEEDED" : "");
    std::fflush(stdout);
    failures += wrong + exceeded;
  }
  if (!only || !std::strcmp(only, "power")) {
    found = true;
    const StepOp* step = findStep("power");
    int wrong = step ? wrongPowerSpecials(step) : 1;
    Worst worst;
    if (step) worst = measurePower(step, every, threads);
    bool exceeded = !(worst.error <= kPowerBound);
    std::printf("%-10s %10.3g %8.1f %16.9g %12s %12llu  %s%s  (with exponent %.9g)\n", "power", worst.error, kPowerBound,
                worst.x, "-", (unsigned long long)worst.count, wrong ? "WRONG" : "right", exceeded ? "  EXCEEDED" : "", worst.y);
    failures += wrong + exceeded;
  }
  if (!only || !std::strcmp(only, "sqrt")) {
    found = true;
    const Worst swept = sweepRoots(every, threads), hard = tryHardRoots();
    std::printf("sqrt by iteration: wrong %.0f of %llu floats, and %.0f of %llu hard ones with their estimates\n", swept.error,
                (unsigned long long)swept.count, hard.error, (unsigned long long)hard.count);
    failures += swept.error > 0 || hard.error > 0 || hard.count == 0;
  }
  if (!found) {
    std::fprintf(stderr, "no function is called %s\n", only);
    return 2;
  }
  std::printf("absolute: the worst of abs(result - exact) / max(1, abs(x))\n");
  return failures ? 1 : 0;
}
