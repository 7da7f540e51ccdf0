// Products of matrices by a library of others: OpenBLAS, BLIS or oneDNN, opened when the program starts.
//
//     libraries openblas|blis|onednn LIBRARY
//
// Answers every line of standard input by one line of JSON:
//
//     product M N K TRANSPOSE_A TRANSPOSE_B SEED_A SEED_B    makes the operands of y[M, N] = a b and multiplies them once
//     window CALLS                                           seconds of so many calls, in CPU time of this thread and in wall time
//     result FILE                                            writes y
//
// Row-major and contiguous: a is [M, K], or [K, M] when transposed; b is [K, N], or [N, K].
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <new>
#include <string>

namespace {

using CblasSgemm = void (*)(int order, int transposeA, int transposeB, int m, int n, int k, float alpha, const float* a, int aRow,
                            const float* b, int bRow, float beta, float* y, int yRow);
using DnnlSgemm = int (*)(char transposeA, char transposeB, int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t aRow,
                          const float* b, int64_t bRow, float beta, float* y, int64_t yRow);

CblasSgemm cblasSgemm;
DnnlSgemm dnnlSgemm;  // or null

struct Product {
  int m = 0, n = 0, k = 0, transposeA = 0, transposeB = 0;
  float *a = nullptr, *b = nullptr, *y = nullptr;
};

void multiply(const Product& p) {
  int aRow = p.transposeA ? p.m : p.k, bRow = p.transposeB ? p.k : p.n;
  if (dnnlSgemm) {
    dnnlSgemm(p.transposeA ? 'T' : 'N', p.transposeB ? 'T' : 'N', p.m, p.n, p.k, 1.0f, p.a, aRow, p.b, bRow, 0.0f, p.y, p.n);
  } else {
    constexpr int kRowMajor = 101, kPlain = 111, kTransposed = 112;
    cblasSgemm(kRowMajor, p.transposeA ? kTransposed : kPlain, p.transposeB ? kTransposed : kPlain, p.m, p.n, p.k, 1.0f, p.a, aRow,
               p.b, bRow, 0.0f, p.y, p.n);
  }
}

// ---- The library ----

template <typename Function>
Function find(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

// What the library says of itself: its version, and the processor or instruction set it has chosen kernels for.
std::string describe(void* library) {
  if (auto config = find<const char* (*)()>(library, "openblas_get_config")) return config();
  if (auto version = find<const char* (*)()>(library, "bli_info_get_version_str")) {
    // Otherwise it could not check the architecture that the environment names.
    if (auto initialize = find<void (*)()>(library, "bli_init")) initialize();
    auto id = find<int (*)()>(library, "bli_arch_query_id");
    auto name = find<const char* (*)(int)>(library, "bli_arch_string");
    return std::string("BLIS ") + version() + (id && name ? std::string(" ") + name(id()) : "");
  }
  if (auto version = find<const int* (*)()>(library, "dnnl_version")) {
    const int* numbers = version();
    auto isa = find<int (*)()>(library, "dnnl_get_effective_cpu_isa");
    char text[96];
    snprintf(text, sizeof text, "oneDNN %d.%d.%d instruction set 0x%x", numbers[0], numbers[1], numbers[2], isa ? isa() : 0);
    return text;
  }
  return "unknown version";
}

bool open(const char* kind, const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return false;
  }
  if (strcmp(kind, "onednn") == 0)
    dnnlSgemm = find<DnnlSgemm>(library, "dnnl_sgemm");
  else
    cblasSgemm = find<CblasSgemm>(library, "cblas_sgemm");
  if (!dnnlSgemm && !cblasSgemm) {
    fprintf(stderr, "%s exports no product\n", path);
    return false;
  }
  printf("{\"description\":\"%s\"}\n", describe(library).c_str());
  return true;
}

// ---- Answers ----

double now(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

constexpr std::align_val_t kLine{64};

float* allocate(int64_t n) { return new (kLine) float[(size_t)n](); }
void release(float* memory) { operator delete[](memory, kLine); }

// The same numbers as `fill` in instruction.ts, which repeat.
void fill(float* values, int64_t n, uint32_t seed) {
  constexpr int64_t kPeriod = 1 << 20;
  uint32_t state = seed;
  for (int64_t i = 0; i < n; i++) {
    state = state * 1664525u + 1013904223u;
    values[i] = i < kPeriod ? (float)(state >> 8) / 16777216.0f - 0.5f : values[i - kPeriod];
  }
}

void measure(const Product& p, long calls) {
  // Others have had the caches meanwhile, and the library's threads have gone to sleep.
  for (long i = 0; i < 1 + calls / 8; i++) multiply(p);
  double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_THREAD_CPUTIME_ID);
  for (long i = 0; i < calls; i++) multiply(p);
  cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
  wall = now(CLOCK_MONOTONIC) - wall;
  printf("{\"cpu\":%.9f,\"wall\":%.9f}\n", cpu, wall);
}

bool writeResult(const Product& p, const char* path) {
  FILE* file = fopen(path, "wb");
  if (!file) return false;
  size_t size = (size_t)p.m * (size_t)p.n, written = fwrite(p.y, sizeof(float), size, file);
  return fclose(file) == 0 && written == size;
}

}  // namespace

int main(int argumentCount, char** arguments) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  if (argumentCount != 3 || !open(arguments[1], arguments[2])) return 1;
  Product p;
  char line[4096], path[4000];
  while (fgets(line, sizeof line, stdin)) {
    unsigned seedA, seedB;
    long calls;
    if (sscanf(line, "product %d %d %d %d %d %u %u", &p.m, &p.n, &p.k, &p.transposeA, &p.transposeB, &seedA, &seedB) == 7) {
      release(p.a), release(p.b), release(p.y);
      int64_t sizeOfA = (int64_t)p.m * p.k, sizeOfB = (int64_t)p.k * p.n;
      p.a = allocate(sizeOfA), p.b = allocate(sizeOfB), p.y = allocate((int64_t)p.m * p.n);
      fill(p.a, sizeOfA, seedA);
      fill(p.b, sizeOfB, seedB);
      multiply(p);
      printf("{}\n");
    } else if (sscanf(line, "window %ld", &calls) == 1) {
      measure(p, calls);
    } else if (sscanf(line, "result %3999[^\n]", path) == 1 && writeResult(p, path)) {
      printf("{}\n");
    } else {
      fprintf(stderr, "cannot do: %s", line);
      return 1;
    }
  }
}
