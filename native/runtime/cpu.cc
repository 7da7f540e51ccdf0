// The only place that asks the processor what it can do.
#include "cpu.h"

#include <stdint.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define THALWEG_X86 1
#endif

namespace thalweg {
namespace {

#if defined(THALWEG_X86)

bool bit(uint32_t word, int position) { return (word >> position) & 1; }

// XCR0: which register states the operating system saves and restores. An instruction set whose registers are
// not saved must not be used, whatever cpuid says of the processor itself.
uint64_t savedStates() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

CpuFeatures detect() {
  CpuFeatures features = {};
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return features;
  const bool fma = bit(c, 12), xgetbvAllowed = bit(c, 27), avx = bit(c, 28);
  if (!fma || !xgetbvAllowed || !avx) return features;

  constexpr uint64_t kYmm = 0x06;  // xmm and the upper halves of ymm
  constexpr uint64_t kZmm = 0xe6;  // these, the mask registers, the upper halves of zmm0-15, and zmm16-31
  const uint64_t saved = savedStates();
  if ((saved & kYmm) != kYmm || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return features;
  features.avx2 = bit(b, 5);
  const bool f = bit(b, 16), dq = bit(b, 17), bw = bit(b, 30), vl = bit(b, 31);
  features.avx512 = features.avx2 && f && dq && bw && vl && (saved & kZmm) == kZmm;
  return features;
}

#elif defined(__aarch64__)

CpuFeatures detect() {
  CpuFeatures features = {};
  features.neon = true;
  return features;
}

#else

CpuFeatures detect() { return {}; }

#endif

}  // namespace

const CpuFeatures& cpuFeatures() {
  static const CpuFeatures features = detect();
  return features;
}

}  // namespace thalweg
