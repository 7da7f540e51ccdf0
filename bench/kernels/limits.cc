// What the machine can do at most: fused multiply-adds, and bytes a second from a level of memory.
//
//     limits THREADS VECTOR_BYTES [BYTES …]
//     limits THREADS VECTOR_BYTES windows
//
// Prints one JSON object: GFLOP/s of multiply-adds in registers of VECTOR_BYTES (0: the widest there are), of the same
// with operands from the first-level cache, as a product has them, and for each of BYTES, the working set of all threads
// together, GB/s of four ways to go through it, and with several threads of a fifth: to read what another one has just
// written. Threads are pinned to distinct cores. One thread is measured in CPU time of its own, several in wall time. Each figure is the best of its windows: a limit can be missed by a disturbed window,
// but not exceeded. With "windows" it answers every line of standard input with the multiply-adds of one window, so that
// the peak can take turns with what is compared with it.
//
// Compiled for the processor it runs on, so that the compiler chooses the instructions: limits.ts does that.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <new>
#include <set>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kWidest = 64;
constexpr const char* kInstructionSet = "avx512";
#elif defined(__AVX2__) && defined(__FMA__)
constexpr int kWidest = 32;
constexpr const char* kInstructionSet = "avx2";
#elif defined(__ARM_NEON)
constexpr int kWidest = 16;
constexpr const char* kInstructionSet = "neon";
#else
constexpr int kWidest = 16;
constexpr const char* kInstructionSet = "portable";
#endif

template <int bytes>
struct VectorOf;
template <>
struct VectorOf<16> {
  typedef float type __attribute__((vector_size(16)));
};
template <>
struct VectorOf<32> {
  typedef float type __attribute__((vector_size(32)));
};
template <>
struct VectorOf<64> {
  typedef float type __attribute__((vector_size(64)));
};
using Widest = VectorOf<kWidest>::type;

// Results end here, so that they must be computed.
template <typename Vector>
void consume(const Vector& value) {
  asm volatile("" : : "m"(value) : "memory");
}

double now(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// ---- Threads ----

// One processor of each core that this process may use.
std::vector<int> cores() {
  std::vector<int> found;
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return found;
  std::set<std::vector<char>> seen;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    char path[96], siblings[256] = "";
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    if (FILE* file = fopen(path, "r")) {
      if (!fgets(siblings, sizeof siblings, file)) siblings[0] = 0;
      fclose(file);
    }
    // Without that file each processor counts as a core.
    if (siblings[0] == 0) snprintf(siblings, sizeof siblings, "%d", cpu);
    if (seen.insert(std::vector<char>(siblings, siblings + strlen(siblings))).second) found.push_back(cpu);
  }
#endif
  return found;
}

// Elsewhere than on Linux threads run where the system puts them.
void pin(const std::vector<int>& to, int thread) {
#if defined(__linux__)
  if (to.empty()) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(to[(size_t)thread % to.size()], &one);
  sched_setaffinity(0, sizeof one, &one);
#else
  (void)to, (void)thread;
#endif
}

// Seconds for all threads to do `work`, from a common start to the end of the last.
double seconds(int threads, const std::vector<int>& pinned, const std::function<void(int)>& work) {
  if (threads == 1) {
    double start = now(CLOCK_THREAD_CPUTIME_ID);
    work(0);
    return now(CLOCK_THREAD_CPUTIME_ID) - start;
  }
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::vector<double> ends((size_t)threads);
  std::vector<std::thread> running;
  for (int i = 0; i < threads; i++) {
    running.emplace_back([&, i] {
      pin(pinned, i);
      ready++;
      while (!go) {
      }
      work(i);
      ends[(size_t)i] = now(CLOCK_MONOTONIC);
    });
  }
  while (ready < threads) std::this_thread::yield();
  double start = now(CLOCK_MONOTONIC);
  go = true;
  for (std::thread& thread : running) thread.join();
  return *std::max_element(ends.begin(), ends.end()) - start;
}

using Work = std::function<void(int thread, long times)>;

// How often to repeat `work` to fill a window: in CPU time, for a disturbed window must not look like a full one.
long repetitions(const std::vector<int>& pinned, const Work& work) {
  constexpr double kWindow = 0.015;
  long times = 1;
  while (times < 1L << 40) {
    double took = seconds(1, pinned, [&](int i) { work(i, times); });
    if (took > kWindow / 2) return std::max(1L, (long)((double)times * kWindow / took));
    times *= took < kWindow / 40 ? 16 : 2;
  }
  return times;
}

// Work a second, where `work(thread, times)` does `units` of it `times` over in each thread.
double rate(int threads, const std::vector<int>& pinned, double units, const Work& work) {
  long times = repetitions(pinned, work);
  double best = 1e9;
  for (int window = 0; window < 7; window++) {
    best = std::min(best, seconds(threads, pinned, [&](int i) { work(i, times); }));
  }
  return threads * units * (double)times / best;
}

// ---- Multiply-adds ----

// So many chains at once hide the latency of an instruction: 4 cycles and two a cycle need eight, and slower or wider
// processors more. They and their operands fit the registers. As a tile, they are the sums of a product.
#if defined(__AVX512F__) || defined(__ARM_NEON)
constexpr int kTileRows = 8;
#else
constexpr int kTileRows = 4;
#endif
constexpr int kTileVectors = 3, kTileSteps = 96;
constexpr int kChains = kTileRows * kTileVectors;

template <int bytes>
void multiplyAdd(long times) {
  using Vector = typename VectorOf<bytes>::type;
  Vector sum[kChains], factor = Vector{} + 0.999999f, addend = Vector{} + 1e-6f;
  for (int i = 0; i < kChains; i++) sum[i] = Vector{} + (float)i;
  for (long n = 0; n < times * 1000; n++) {
#pragma GCC unroll 32
    for (int i = 0; i < kChains; i++) sum[i] = sum[i] * factor + addend;
  }
  Vector total = Vector{};
  for (int i = 0; i < kChains; i++) total += sum[i];
  consume(total);
}

double multiplyAddUnits(int bytes) { return 1000.0 * kChains * (bytes / 4) * 2; }

// run(width, times) in registers of so many bytes, the width being known to the compiler.
template <typename Run>
Work inRegisters(int bytes, Run run) {
  return [bytes, run](int, long times) {
    if (bytes == 64 && kWidest >= 64) return run(std::integral_constant<int, kWidest >= 64 ? 64 : kWidest>(), times);
    if (bytes == 32 && kWidest >= 32) return run(std::integral_constant<int, kWidest >= 32 ? 32 : kWidest>(), times);
    run(std::integral_constant<int, 16>(), times);
  };
}

Work multiplyAddWork(int bytes) {
  return inRegisters(bytes, [](auto width, long times) { multiplyAdd<decltype(width)::value>(times); });
}

// The inner loop of a product, and nothing else of one: a tile of sums in registers, to which each step adds a column of
// one operand times a row of the other.
template <int bytes>
void multiplyTile(long times) {
  using Vector = typename VectorOf<bytes>::type;
  alignas(64) static float a[kTileSteps * kTileRows];
  alignas(64) static Vector b[kTileSteps * kTileVectors];
  for (long n = 0; n < times; n++) {
    asm volatile("" : : "r"(a), "r"(b) : "memory");  // NOTE: otherwise the compiler sees that both are 0
    Vector sum[kTileRows][kTileVectors];
    for (int i = 0; i < kTileRows; i++)
      for (int v = 0; v < kTileVectors; v++) sum[i][v] = Vector{} + (float)n;
    for (int k = 0; k < kTileSteps; k++) {
#pragma GCC unroll 8
      for (int i = 0; i < kTileRows; i++)
#pragma GCC unroll 3
        for (int v = 0; v < kTileVectors; v++) sum[i][v] += a[k * kTileRows + i] * b[k * kTileVectors + v];
    }
    for (int i = 0; i < kTileRows; i++)
      for (int v = 0; v < kTileVectors; v++) consume(sum[i][v]);
  }
}

double multiplyTileUnits(int bytes) { return 2.0 * kTileSteps * kTileRows * kTileVectors * (bytes / 4); }

Work multiplyTileWork(int bytes) {
  return inRegisters(bytes, [](auto width, long times) { multiplyTile<decltype(width)::value>(times); });
}

void answerWindows(int threads, const std::vector<int>& pinned, int bytes) {
  Work work = multiplyAddWork(bytes);
  long times = repetitions(pinned, work);
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    work(0, 1 + times / 8);  // the processor may have slowed down meanwhile
    double took = seconds(threads, pinned, [&](int i) { work(i, times); });
    printf("{\"multiplyAdd\":%.2f}\n", threads * multiplyAddUnits(bytes) * (double)times / took * 1e-9);
    fflush(stdout);
  }
}

// ---- Memory ----

constexpr size_t kLine = 64 / sizeof(float);
constexpr size_t kLineVectors = 64 / kWidest;

// NOTE: eight sums, because with fewer the additions, and not the loads, would be what takes the time.
void readAll(const float* x, size_t n) {
  constexpr size_t kSums = 8;
  Widest sum[kSums] = {};
  constexpr size_t kFloats = kSums * kWidest / sizeof(float);
  for (size_t i = 0; i + kFloats <= n; i += kFloats) {
    const Widest* v = (const Widest*)(x + i);
#pragma GCC unroll 8
    for (size_t s = 0; s < kSums; s++) sum[s] += v[s];
  }
  Widest total = {};
  for (size_t s = 0; s < kSums; s++) total += sum[s];
  consume(total);
}

void writeAll(float* y, size_t n) {
  Widest one = Widest{} + 1.0f;
  for (size_t i = 0; i < n; i += kLine) {
    Widest* v = (Widest*)(y + i);
    for (size_t k = 0; k < kLineVectors; k++) v[k] = one;
    asm volatile("" ::: "memory");  // NOTE: keeps the compiler from making it a call of memset
  }
}

void copyAll(const float* x, float* y, size_t n) {
  for (size_t i = 0; i < n; i += kLine) {
    const Widest* from = (const Widest*)(x + i);
    Widest* to = (Widest*)(y + i);
    for (size_t k = 0; k < kLineVectors; k++) to[k] = from[k];
    asm volatile("" ::: "memory");  // NOTE: nor memcpy, which may use stores that go around the cache
  }
}

void updateAll(float* x, size_t n) {
  Widest one = Widest{} + 1.0f;
  for (size_t i = 0; i < n; i += kLine) {
    Widest* v = (Widest*)(x + i);
    for (size_t k = 0; k < kLineVectors; k++) v[k] += one;
    asm volatile("" ::: "memory");
  }
}

// Memory of one thread.
struct Arrays {
  float *x, *y;  // halves of one piece
  size_t n;      // floats of each
};

// GB/s of all threads together, each reading what the next one has written just before.
double exchange(int threads, const std::vector<int>& pinned, const std::vector<Arrays>& arrays) {
  constexpr int kWindows = 15;
  std::atomic<int> arrived{0};
  std::vector<double> took((size_t)threads);
  seconds(threads, pinned, [&](int i) {
    const Arrays &own = arrays[(size_t)i], &other = arrays[(size_t)((i + 1) % threads)];
    double best = 1e9;
    int met = 0;
    const auto meet = [&] {
      met += threads;
      arrived++;
      while (arrived < met) {
      }
    };
    for (int window = 0; window < kWindows; window++) {
      writeAll(own.x, 2 * own.n);
      meet();
      double start = now(CLOCK_MONOTONIC);
      readAll(other.x, 2 * other.n);
      best = std::min(best, now(CLOCK_MONOTONIC) - start);
      meet();
    }
    took[(size_t)i] = best;
  });
  return threads * 2.0 * (double)arrays[0].n * sizeof(float) / *std::max_element(took.begin(), took.end()) * 1e-9;
}

void printBandwidth(int threads, const std::vector<int>& pinned, const std::vector<Arrays>& arrays, double bytes) {
  double half = (double)arrays[0].n * sizeof(float);
  auto each = [&](double units, const std::function<void(const Arrays&)>& pass) {
    return rate(threads, pinned, units, [&](int i, long times) {
      for (long n = 0; n < times; n++) {
        pass(arrays[(size_t)i]);
        asm volatile("" ::: "memory");  // NOTE: otherwise one pass of many could do, for the next would not change a thing
      }
    }) * 1e-9;
  };
  // x and y are neighbours, so that 2 n floats from x on are the whole piece.
  double read = each(2 * half, [](const Arrays& a) { readAll(a.x, 2 * a.n); });
  double write = each(2 * half, [](const Arrays& a) { writeAll(a.x, 2 * a.n); });
  double copy = each(2 * half, [](const Arrays& a) { copyAll(a.x, a.y, a.n); });
  double update = each(4 * half, [](const Arrays& a) { updateAll(a.x, 2 * a.n); });
  printf("{\"bytes\":%.0f,\"read\":%.2f,\"write\":%.2f,\"copy\":%.2f,\"update\":%.2f", bytes, read, write, copy, update);
  if (threads > 1) printf(",\"exchange\":%.2f", exchange(threads, pinned, arrays));
  printf("}");
}

}  // namespace

int main(int argumentCount, char** arguments) {
  if (argumentCount < 3) return 2;
  int threads = std::max(1, atoi(arguments[1])), bytes = atoi(arguments[2]);
  if (bytes == 0 || bytes > kWidest) bytes = kWidest;
  std::vector<int> pinned = cores();
  if (threads == 1 && !pinned.empty()) pin({pinned.back()}, 0);

  if (argumentCount > 3 && strcmp(arguments[3], "windows") == 0) {
    answerWindows(threads, pinned, bytes);
    return 0;
  }

  double multiplyAdds = rate(threads, pinned, multiplyAddUnits(bytes), multiplyAddWork(bytes)) * 1e-9;
  double fromCache = rate(threads, pinned, multiplyTileUnits(bytes), multiplyTileWork(bytes)) * 1e-9;
  printf("{\"instructionSet\":\"%s\",\"multiplyAdd\":%.2f,\"fromCache\":%.2f,\"memory\":[", kInstructionSet, multiplyAdds, fromCache);
  for (int argument = 3; argument < argumentCount; argument++) {
    double total = atof(arguments[argument]);
    size_t n = std::max<size_t>(1024, (size_t)(total / threads / 2 / sizeof(float)) / 1024 * 1024);
    std::vector<Arrays> arrays;
    for (int i = 0; i < threads; i++) {
      float* memory = new (std::align_val_t{4096}) float[2 * n];
      for (size_t k = 0; k < 2 * n; k++) memory[k] = 1.0f;
      arrays.push_back({memory, memory + n, n});
    }
    if (argument > 3) printf(",");
    printBandwidth(threads, pinned, arrays, total);
    for (Arrays& a : arrays) operator delete[](a.x, std::align_val_t{4096});
  }
  printf("]}\n");
}
