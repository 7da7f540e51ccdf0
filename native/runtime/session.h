// A plan that is ready to run: its tensors have addresses, its kernels are chosen, all memory is there.
#pragma once
#include <stdint.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "../kernels/kernel.h"
#include "plan.h"

namespace thalweg {

// The memory of one block. It belongs to the caller, outlives the session, and starts at a multiple of kAlignment.
struct Region {
  void* data;
  int64_t bytes;
};

// How a feed moves on through its source.
enum class Pace {
  row,   // the tensor's first axis is the batch: each step takes that many rows, as `order` says
  step,  // each step takes the next piece, as large as the tensor (a learning rate for each step)
  run,   // copied once, before the first step
};

// Data that is copied into a tensor before steps.
struct Feed {
  int64_t tensor;
  Pace pace;
  const void* source;
  int64_t count;       // rows, or pieces, in the source; 1 for Pace::run; unused when countBytes is 0
  int64_t countBytes;  // bytes of one of them
};

// A request stays valid, and what it points to stays in place, until the run has ended.
struct RunRequest {
  int64_t steps = 1;
  std::vector<Feed> feeds;
  const int32_t* order = nullptr;  // steps × batch numbers of rows; null: the rows follow each other from firstRow
  int64_t orderLength = 0;
  int64_t firstRow = 0;
  std::vector<int64_t> records;  // tensors copied after each step, one after the other, into recordBuffer
  void* recordBuffer = nullptr;  // steps × (bytes of all records)
  int64_t recordBufferBytes = 0;
  // Null, or where the nanoseconds go of each part of a step: the feeds, each instruction that runs, the records. First a sum
  // over all steps for each part; then, for as many of the first steps as there is room for, 1 + parts times since the run
  // began: when the step began, and when each part ended.
  double* profile = nullptr;
  int64_t profileLength = 0;
  int64_t firstInstruction = 0;  // only the instructions from here …
  int64_t endInstruction = -1;   // … to before this one run in each step; -1: to the last
  int32_t* control = nullptr;    // null, or two words shared with other threads: [stop when not 0, completed steps]
  const std::atomic<bool>* cancelled = nullptr;                        // null, or a second way to stop
  void (*afterStep)(void* context, int64_t completedSteps) = nullptr;  // null, or called on the running thread
  void* afterStepContext = nullptr;
};

enum class Stop { none, aborted, nonFinite };

struct RunResult {
  int64_t completedSteps;  // steps that ran to their end
  Stop stopped;
  int64_t instruction;  // the one that stopped the run (Stop::nonFinite), else -1
};

// An instruction or a wave whose kernels estimate less work than this stays on the calling thread while the pool's threads sleep, and
// less than a fifth of it always: waking a thread costs 50 to 100 microseconds, but only once a step, and handing chunks to
// one that is awake 1 to 2.
constexpr double kSerialNanoseconds = 20e3;
constexpr double kAwakePart = 0.2;

struct LoadOptions {
  std::string isa;                          // may be empty: see chooseKernelSet
  int64_t threads = 1;                      // at most so many work on one instruction
  double serialBelow = kSerialNanoseconds;  // tests set 0, so that small instructions are shared out too
};

struct LoadError {
  enum class Cause { none, plan, instructionSet, memory };
  Cause cause = Cause::none;
  std::string text;
};

class Session {
 public:
  // Checks everything, so that running needs no checks. Null, with `error` set, when something is wrong; also when memory
  // runs out. Does not throw.
  static std::unique_ptr<Session> load(PlanDescription plan, const std::vector<Region>& regions, const LoadOptions& options,
                                       LoadError* error);
  ~Session();

  // What is wrong with a request, or nothing. Reads all of `order`.
  std::string check(const RunRequest& request) const;

  // Runs a request that `check` has passed. Does not allocate or fail. One run of a session at a time.
  RunResult run(const RunRequest& request);

  const char* isa() const;
  int64_t threads() const;
  int64_t ownedBytes() const;  // memory besides the regions
  // What a run takes on one thread: as its kernels estimate, and for what it is fed.
  double nanoseconds(const RunRequest& request) const;
  const PlanDescription& plan() const;

 private:
  struct State;
  std::string checkFeeds(const RunRequest& request) const;
  std::string checkRows(const RunRequest& request) const;
  std::string checkRecords(const RunRequest& request) const;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace thalweg
