// The only place that asks the processor and the system what they can do.
#include "cpu.h"

#include <stdint.h>

#if defined(__linux__)
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#else
#include <thread>
#endif

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define THALWEG_X86 1
#endif

namespace thalweg {
namespace {

// --- Instruction sets ---

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

// --- How many threads are worth having ---

#if defined(__linux__)

// The first line of a file, or false.
bool readLine(const char* path, char* line, size_t size) {
  FILE* const file = fopen(path, "r");
  if (file == nullptr) return false;
  const bool read = fgets(line, static_cast<int>(size), file) != nullptr;
  fclose(file);
  return read;
}

// The CPUs that the quota of one cgroup folder pays for, or `most`. Version 2 writes "quota period" or "max period"
// in one file, version 1 has a file for each and -1 for no limit.
int quotaOf(const char* folder, bool version2, int most) {
  char path[4200];
  char line[128];
  double quota = -1;
  double period = 0;
  if (version2) {
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (!readLine(path, line, sizeof line) || sscanf(line, "%lf %lf", &quota, &period) != 2) return most;
  } else {
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!readLine(path, line, sizeof line)) return most;
    quota = atof(line);
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!readLine(path, line, sizeof line)) return most;
    period = atof(line);
  }
  if (!(quota > 0 && period > 0)) return most;
  // Rounded down: threads beyond the quota get all of them stopped for the rest of the period.
  const int count = static_cast<int>(quota / period);
  return count < 1 ? 1 : count < most ? count : most;
}

// Whether a list such as "cpu,cpuacct" names the controller "cpu".
bool namesCpu(const char* list) {
  for (;;) {
    const size_t length = strcspn(list, ",");
    if (length == 3 && strncmp(list, "cpu", 3) == 0) return true;
    if (list[length] == '\0') return false;
    list += length + 1;
  }
}

// The tightest quota from our cgroup up to the root.
int cgroupLimit(int most) {
  FILE* const file = fopen("/proc/self/cgroup", "r");
  if (file == nullptr) return most;
  char line[2048];
  while (fgets(line, sizeof line, file) != nullptr) {
    line[strcspn(line, "\n")] = '\0';
    char* const controllers = strchr(line, ':');
    char* const group = controllers == nullptr ? nullptr : strchr(controllers + 1, ':');
    if (group == nullptr) continue;
    *group = '\0';
    const bool version2 = controllers[1] == '\0';
    if (!version2 && !namesCpu(controllers + 1)) continue;
    char folder[4096];
    snprintf(folder, sizeof folder, "%s%s", version2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu", group + 1);
    const size_t root = strlen(version2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu");
    for (;;) {
      most = quotaOf(folder, version2, most);
      char* const slash = strrchr(folder, '/');
      if (strlen(folder) <= root || slash == nullptr) break;
      *slash = '\0';
    }
  }
  fclose(file);
  return most;
}

int countThreads() {
  int count = 0;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) count = CPU_COUNT(&allowed);
  if (count < 1) count = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));  // a machine too large for cpu_set_t
  return cgroupLimit(count < 1 ? 1 : count);
}

#else

int countThreads() {
  const int count = static_cast<int>(std::thread::hardware_concurrency());
  return count < 1 ? 1 : count;
}

#endif

}  // namespace

const CpuFeatures& cpuFeatures() {
  static const CpuFeatures features = detect();
  return features;
}

int hardwareThreads() {
  static const int count = countThreads();
  return count;
}

}  // namespace thalweg
