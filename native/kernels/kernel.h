// What the runtime and the kernels know of each other.
//
// A kernel is two functions: `prepare`, called when a plan is loaded (again, for one thread, if the instruction is too
// small to be shared), which checks the instruction and writes what it needs into its parameter block; and `run`, called for each chunk of each step, which only computes.
// This header is plain data: kernels are compiled once per instruction set, so nothing in it may be a template or a function that is not
// `static` (one copy would survive linking, perhaps the wrong CPU's).
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace thalweg {

enum class Dtype : int32_t { float32 = 0, int32 = 1 };

// A tensor in the arena: contiguous, row-major, its first byte 64-byte aligned.
struct Operand {
  void* data;
  const int64_t* shape;  // `rank` extents
  int64_t rank;
  int64_t size;          // elements: the product of the extents, 1 for a scalar
  Dtype dtype;
};

// The attributes of one instruction. Opaque here; the functions below live in runtime/attributes.cc.
// A missing attribute gives the fallback (number), or count 0 (lists), or "" (text).
struct Attributes;
double attributeNumber(const Attributes*, const char* name, double fallback);
const double* attributeNumbers(const Attributes*, const char* name, int64_t* count);
const char* attributeText(const Attributes*, const char* name);
const char* const* attributeTexts(const Attributes*, const char* name, int64_t* count);

// One instruction, ready to run. The runtime owns it and everything it points to.
struct Instruction {
  const Operand* inputs;
  const Operand* outputs;
  int64_t inputCount;
  int64_t outputCount;
  void* parameters;        // `parameterBytes` of the kernel, zeroed before `prepare`, 64-byte aligned
  float* shared;           // `sharedBytes` asked for in `prepare`: one per instruction (partial results), 64-byte aligned
  int64_t chunks;          // independent pieces; set by `prepare`; 0 means nothing to do
  bool guards;             // set by `prepare` when nothing behind it may begin before `finish` has agreed
};

// Thread t of n begins with the chunks from here on, up to where the next one's begin, and helps others when it is done with them.
static inline int64_t firstOfShare(int64_t chunks, int64_t thread, int64_t threads) { return chunks * thread / threads; }

// What `prepare` is given, and what it answers.
struct Preparation {
  Instruction* instruction;         // operands are set; `prepare` fills parameters and sets `chunks`
  const Attributes* attributes;
  int64_t threads;                  // as many as may work on it; may shape the chunks wherever bits cannot depend on them
  int64_t scratchBytes;             // out: memory each running thread needs, 64-byte aligned; contents undefined between chunks
  int64_t sharedBytes;              // out: memory of the instruction itself (`shared` is set after `prepare`)
  double nanoseconds;               // out: estimate of the whole instruction on one thread; small ones stay on one thread
  char error[256];                  // out: set (snprintf) when `prepare` returns false
};

// What a kernel may ask for: that the step ends behind it, as if it were complete, or that the whole run does.
enum class Outcome : int32_t { proceed, endStep, stopRun };

struct Kernel {
  const char* name;
  size_t parameterBytes;
  // Checks operands and attributes. False: `error` says what is wrong. Called at load only.
  bool (*prepare)(Preparation*);
  // Computes chunk `chunk` of 0 … chunks-1. Chunks of one instruction may run at once, in any order, on any thread.
  void (*run)(const Instruction*, int64_t chunk, void* scratch);
  // Null, or called once after all chunks (combines partial results). `guards` must be set for any outcome but `proceed`.
  Outcome (*finish)(const Instruction*);
};

// One source file's kernels. Each file ends in its table; families.cc lists the tables.
struct KernelFamily {
  const Kernel* kernels;
  int64_t count;
};

// Copies rows rows[0] … rows[count - 1] of `source`, each of n numbers of 32 bits, one behind the other to `target`, groups of kPickedTogether of
// them side by side. Nothing keeps a caller from feeding memory that overlaps the source: then the rows are undefined, but the behaviour is not.
constexpr int64_t kPickedTogether = 8;
using PickRows = void (*)(int32_t* target, const int32_t* source, const int32_t* rows, int64_t count, int64_t n);

// All kernels of one instruction set.
struct KernelSet {
  const char* isa;  // "portable", "avx2", "avx512", "neon"
  const KernelFamily* const* families;
  int64_t count;
  PickRows pickRows;
};

}  // namespace thalweg
