// What the processor and the operating system let a program execute, and on how many threads.
#pragma once

namespace thalweg {

struct CpuFeatures {
  bool avx2;    // AVX2 and FMA, with the 256-bit registers saved on a context switch
  bool avx512;  // AVX-512 F, DQ, BW and VL besides, with the 512-bit and mask registers saved
  bool neon;    // Advanced SIMD on 64-bit ARM, which always has it
};

// Asked once, then remembered.
const CpuFeatures& cpuFeatures();

// How many threads this process can really run at once: the CPUs it may use (affinity), and no more than its
// cgroup's CPU quota pays for. At least 1. Looked up once.
int hardwareThreads();

}  // namespace thalweg
