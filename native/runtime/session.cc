#include "session.h"

#include <string.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "pool.h"
#include "registry.h"
#include "waves.h"

namespace thalweg {
namespace {

std::string text(int64_t number) { return std::to_string(number); }

int64_t roundedUp(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Memory that starts on a cache line.
class AlignedMemory {
 public:
  AlignedMemory() = default;
  AlignedMemory(const AlignedMemory&) = delete;
  AlignedMemory& operator=(const AlignedMemory&) = delete;
  ~AlignedMemory() { ::operator delete(data_, std::align_val_t{kAlignment}); }

  bool allocate(int64_t bytes) {
    bytes_ = std::max(bytes, kAlignment);
    data_ = static_cast<uint8_t*>(::operator new(static_cast<size_t>(bytes_), std::align_val_t{kAlignment}, std::nothrow));
    return data_ != nullptr;
  }
  void zero() { memset(data_, 0, static_cast<size_t>(bytes_)); }
  uint8_t* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  uint8_t* data_ = nullptr;
  int64_t bytes_ = 0;
};

// Batches of as many bytes are fed by several threads.
constexpr int64_t kSharedFeedBytes = 32 * 1024;
constexpr double kNanosecondsPerFedByte = 0.1;

}  // namespace

// How a step, or a part of one, ended: all of it ran, or the instruction that asked for an end.
struct StepEnd {
  Outcome outcome = Outcome::proceed;
  int64_t instruction = -1;
};

struct Session::State {
  PlanDescription plan;
  const KernelSet* kernels = nullptr;
  int64_t threads = 1;
  double serialBelow = kSerialNanoseconds;
  std::vector<int64_t> extents;  // the shapes of all tensors, one after the other
  std::vector<Operand> tensors;
  std::vector<Operand> operands;  // the inputs and outputs of all instructions, one after the other
  std::vector<PreparedInstruction> instructions;
  Waves waves;
  AlignedMemory parameters, shared, scratch;
  int64_t scratchStride = 0;  // bytes from one thread's scratch memory to the next's

  std::string bindRegions(const std::vector<Region>& regions);
  void bindOperands();
  std::string findKernels(std::vector<const Kernel*>* found) const;
  std::string prepare(const std::vector<const Kernel*>& found);

  int64_t bytesOf(int64_t tensor) const { return tensors[tensor].size * kElementBytes; }
  int64_t batchOf(int64_t tensor) const { return tensors[tensor].shape[0]; }

  void feed(const RunRequest& request, const Feed& feed, int64_t step) const;
  void feedRows(const RunRequest& request, const Feed& feed, int64_t step, int64_t first, int64_t end) const;
  void record(const RunRequest& request, int64_t step) const;
  StepEnd runInstructions(int64_t first, int64_t end);
  bool isWorthSharing(double nanoseconds) const;
  StepEnd runTogether(const Wave& wave);
  Outcome runAlone(int64_t index);
  StepEnd runStep(const RunRequest& request, int64_t step, int64_t end);
  StepEnd runProfiledStep(const RunRequest& request, int64_t step, int64_t end, std::chrono::steady_clock::time_point began);
};

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::~Session() = default;
const char* Session::isa() const { return state_->kernels->isa; }
int64_t Session::threads() const { return state_->threads; }
const PlanDescription& Session::plan() const { return state_->plan; }
int64_t Session::ownedBytes() const { return state_->parameters.bytes() + state_->shared.bytes() + state_->scratch.bytes(); }

double Session::nanoseconds(const RunRequest& request) const {
  double total = 100;  // the loop, and the records
  for (const PreparedInstruction& prepared : state_->instructions) total += prepared.nanoseconds;
  for (const Feed& feed : request.feeds) {
    const int64_t bytes = feed.pace == Pace::row ? state_->bytesOf(feed.tensor) : feed.countBytes;
    total += kNanosecondsPerFedByte * static_cast<double>(bytes);
  }
  return total * static_cast<double>(request.steps);
}

// ---- Loading ----

std::unique_ptr<Session> Session::load(PlanDescription plan, const std::vector<Region>& regions, const LoadOptions& options,
                                       LoadError* error) {
  try {
    auto state = std::make_unique<State>();
    error->cause = LoadError::Cause::instructionSet;
    state->kernels = chooseKernelSet(options.isa, &error->text);
    if (!state->kernels) return nullptr;

    error->cause = LoadError::Cause::plan;
    state->plan = std::move(plan);
    state->threads = options.threads;
    state->serialBelow = options.serialBelow;
    std::vector<const Kernel*> found;
    if (options.threads < 1 || options.threads > kMaximumThreads) {
      error->text = "threads: expected 1 to " + text(kMaximumThreads) + ", got " + text(options.threads) + ".";
    }
    if (error->text.empty()) error->text = checkPlan(state->plan);
    if (error->text.empty()) error->text = state->bindRegions(regions);
    if (error->text.empty()) error->text = state->findKernels(&found);
    if (error->text.empty()) {
      state->bindOperands();
      error->text = state->prepare(found);
    }
    if (!error->text.empty()) return nullptr;
    error->cause = LoadError::Cause::none;
    return std::unique_ptr<Session>(new Session(std::move(state)));
  } catch (const std::bad_alloc&) {
    error->cause = LoadError::Cause::memory;
    error->text.assign("out of memory.");  // short enough for the string's own buffer
    return nullptr;
  }
}

// Gives every tensor its address.
std::string Session::State::bindRegions(const std::vector<Region>& regions) {
  if (regions.size() != plan.blocks.size()) {
    return "regions: expected one for each of " + std::to_string(plan.blocks.size()) + " blocks, got " +
           std::to_string(regions.size()) + ".";
  }
  for (size_t block = 0; block < regions.size(); block++) {
    const std::string where = "region " + std::to_string(block) + ": ";
    const uintptr_t address = reinterpret_cast<uintptr_t>(regions[block].data);
    if (regions[block].bytes < plan.blocks[block]) {
      return where + "expected at least " + std::to_string(plan.blocks[block]) + " bytes, got " +
             std::to_string(regions[block].bytes) + ".";
    }
    if (address % kAlignment != 0) {
      return where + "expected memory that starts at a multiple of " + std::to_string(kAlignment) +
             " bytes, got one that starts " + std::to_string(address % kAlignment) + " bytes past it.";
    }
  }

  size_t extentCount = 0;
  for (const TensorDescription& tensor : plan.tensors) extentCount += tensor.shape.size();
  extents.reserve(extentCount + 1);  // never grows after this, so that addresses in it stay
  for (const TensorDescription& tensor : plan.tensors) {
    Operand operand;
    operand.data = static_cast<uint8_t*>(regions[tensor.block].data) + tensor.offset;
    operand.shape = extents.data() + extents.size();
    operand.rank = static_cast<int64_t>(tensor.shape.size());
    operand.size = elementCount(tensor.shape);
    operand.dtype = tensor.dtype;
    extents.insert(extents.end(), tensor.shape.begin(), tensor.shape.end());
    tensors.push_back(operand);
  }
  return "";
}

std::string Session::State::findKernels(std::vector<const Kernel*>* found) const {
  std::vector<std::string> unknown;
  for (const InstructionDescription& instruction : plan.instructions) {
    found->push_back(findKernel(*kernels, instruction.op));
    const bool isNew = std::find(unknown.begin(), unknown.end(), instruction.op) == unknown.end();
    if (!found->back() && isNew) unknown.push_back(instruction.op);
  }
  if (unknown.empty()) return "";
  std::string names;
  for (const std::string& name : unknown) names += (names.empty() ? "\"" : ", \"") + name + "\"";
  std::string known;
  for (const std::string& name : kernelNames(*kernels)) known += (known.empty() ? "" : ", ") + name;
  return "plan: no kernel is called " + names + "; the " + kernels->isa + " kernels are " + known + ".";
}

void Session::State::bindOperands() {
  size_t count = 0;
  for (const auto& instruction : plan.instructions) count += instruction.inputs.size() + instruction.outputs.size();
  operands.reserve(count + 1);  // never grows after this, so that addresses in it stay
  instructions.resize(plan.instructions.size());
  for (size_t index = 0; index < instructions.size(); index++) {
    const InstructionDescription& description = plan.instructions[index];
    Instruction& instruction = instructions[index].instruction;
    instruction = {};
    instruction.inputs = operands.data() + operands.size();
    instruction.inputCount = static_cast<int64_t>(description.inputs.size());
    for (int64_t id : description.inputs) operands.push_back(tensors[id]);
    instruction.outputs = operands.data() + operands.size();
    instruction.outputCount = static_cast<int64_t>(description.outputs.size());
    for (int64_t id : description.outputs) operands.push_back(tensors[id]);
  }
}

// Lets every kernel check and prepare its instructions, and allocates what they ask for.
std::string Session::State::prepare(const std::vector<const Kernel*>& found) {
  int64_t parameterBytes = 0;
  for (const Kernel* kernel : found) parameterBytes += roundedUp(static_cast<int64_t>(kernel->parameterBytes));
  if (!parameters.allocate(parameterBytes)) throw std::bad_alloc();
  parameters.zero();

  const double leastShared = serialBelow * kAwakePart;
  uint8_t* nextParameters = parameters.data();
  std::vector<int64_t> sharedOffsets;
  int64_t sharedBytes = 0, scratchBytes = 0;
  for (size_t index = 0; index < instructions.size(); index++) {
    const Kernel& kernel = *found[index];
    PreparedInstruction& prepared = instructions[index];
    prepared.instruction.parameters = nextParameters;
    nextParameters += roundedUp(static_cast<int64_t>(kernel.parameterBytes));

    Preparation preparation;
    const auto prepareFor = [&](int64_t threadsToUse) {
      preparation = {};
      preparation.instruction = &prepared.instruction;
      preparation.attributes = &plan.instructions[index].attributes;
      preparation.threads = threadsToUse;
      return kernel.prepare(&preparation);
    };
    bool accepted = prepareFor(threads);
    if (accepted && threads > 1 && prepared.instruction.chunks > 1 && preparation.nanoseconds < leastShared) {
      // It stays on one thread, which should not have to work in pieces cut for several.
      memset(prepared.instruction.parameters, 0, kernel.parameterBytes);
      accepted = prepareFor(1);
    }
    if (!accepted) {
      preparation.error[sizeof preparation.error - 1] = 0;
      // Most kernels begin with their own name, which instructionText has said.
      const std::string problem = preparation.error, name = kernel.name + std::string(": ");
      const bool named = problem.compare(0, name.size(), name) == 0;
      return instructionText(plan, index) + ": " + (named ? problem.substr(name.size()) : problem);
    }
    int64_t endOfShared;
    if (prepared.instruction.chunks < 0 || preparation.scratchBytes < 0 || preparation.sharedBytes < 0 ||
        preparation.scratchBytes > INT64_MAX / kMaximumThreads - kAlignment ||
        __builtin_add_overflow(sharedBytes, preparation.sharedBytes, &endOfShared) || endOfShared > INT64_MAX - kAlignment) {
      return instructionText(plan, index) +
             ": the kernel asked for an impossible amount of memory or of chunks; please report this.";
    }
    sharedOffsets.push_back(sharedBytes);
    sharedBytes = roundedUp(endOfShared);
    scratchBytes = std::max(scratchBytes, preparation.scratchBytes);

    prepared.run = kernel.run;
    prepared.finish = kernel.finish;
    prepared.nanoseconds = preparation.nanoseconds;
    prepared.mayShare = threads > 1 && prepared.instruction.chunks > 1 && preparation.nanoseconds >= leastShared;
  }

  scratchStride = roundedUp(scratchBytes);
  if (!shared.allocate(sharedBytes) || !scratch.allocate(scratchStride * threads)) throw std::bad_alloc();
  shared.zero();  // but not the scratch memory: pages that no thread ever touches cost nothing
  for (size_t index = 0; index < instructions.size(); index++) {
    instructions[index].instruction.shared = reinterpret_cast<float*>(shared.data() + sharedOffsets[index]);
  }
  waves = findWaves(instructions, threads, leastShared);
  return "";
}

// ---- Checking a request ----

std::string Session::check(const RunRequest& request) const {
  if (request.steps < 0 || request.steps > INT32_MAX) {
    return "steps: expected 0 to " + text(INT32_MAX) + ", got " + text(request.steps) + ".";
  }
  const int64_t instructionCount = static_cast<int64_t>(state_->instructions.size());
  const int64_t end = request.endInstruction < 0 ? instructionCount : request.endInstruction;
  if (request.firstInstruction < 0 || request.firstInstruction > end || end > instructionCount) {
    return "instructions: expected a range within 0 to " + text(instructionCount) + ", got " + text(request.firstInstruction) +
           " to " + text(end) + ".";
  }
  const int64_t parts = end - request.firstInstruction + 2;
  if (request.profile && request.profileLength < parts) {
    return "profile: expected room for " + text(parts) + " numbers, got " + text(request.profileLength) + ".";
  }
  std::string problem = checkFeeds(request);
  if (problem.empty()) problem = checkRows(request);
  if (problem.empty()) problem = checkRecords(request);
  return problem;
}

std::string Session::checkFeeds(const RunRequest& request) const {
  const int64_t tensorCount = static_cast<int64_t>(state_->tensors.size());
  int64_t batch = -1;  // of the feeds by row
  for (size_t index = 0; index < request.feeds.size(); index++) {
    const Feed& feed = request.feeds[index];
    const std::string name = "feed " + std::to_string(index);
    if (feed.tensor < 0 || feed.tensor >= tensorCount) {
      return name + ": expected one of " + text(tensorCount) + " tensors, got tensor " + text(feed.tensor) + ".";
    }
    const Operand& tensor = state_->tensors[feed.tensor];
    const std::string shape = shapeText(state_->plan.tensors[feed.tensor].shape);
    const std::string where = name + " (tensor " + text(feed.tensor) + " " + shape + "): ";
    int64_t expectedBytes = state_->bytesOf(feed.tensor);
    if (feed.pace == Pace::row) {
      if (tensor.rank == 0) return where + "expected a first axis for the rows, got a scalar.";
      if (batch >= 0 && batch != tensor.shape[0]) {
        return where + "expected " + text(batch) + " rows a step, as in the feeds before it.";
      }
      batch = tensor.shape[0];
      expectedBytes = batch == 0 ? 0 : expectedBytes / batch;
    }
    if (feed.countBytes != expectedBytes) {
      return where + "expected pieces of " + text(expectedBytes) + " bytes, got " + text(feed.countBytes) + ".";
    }
    if (expectedBytes == 0) continue;
    const int64_t expectedCount = feed.pace == Pace::step ? request.steps : feed.pace == Pace::run ? 1 : 0;
    if (feed.count < expectedCount) {
      return where + "expected at least " + text(expectedCount) + " pieces, got " + text(feed.count) + ".";
    }
    if (!feed.source && feed.count > 0) return where + "expected a source.";
  }
  return "";
}

// That every row a step takes is in every source. The feeds have been checked.
std::string Session::checkRows(const RunRequest& request) const {
  int64_t batch = -1, rows = INT64_MAX;  // of the feeds by row; the rows that all of them have
  for (const Feed& feed : request.feeds) {
    if (feed.pace != Pace::row) continue;
    batch = state_->batchOf(feed.tensor);
    if (feed.countBytes > 0) rows = std::min(rows, feed.count);
  }
  if (!request.order) {
    if (batch <= 0) return "";
    const bool inside = request.firstRow >= 0 && request.firstRow <= rows;
    if (inside && (rows - request.firstRow) / batch >= request.steps) return "";
    return "rows: expected " + text(request.steps) + " steps of " + text(batch) + " rows from row " + text(request.firstRow) +
           " on, got a source of " + text(rows) + " rows.";
  }
  if (batch < 0) return "order: expected a feed by row for it to put in order, got none.";
  int64_t needed;
  if (__builtin_mul_overflow(request.steps, batch, &needed) || request.orderLength != needed) {
    return "order: expected " + text(request.steps) + " steps of " + text(batch) + " rows, got " + text(request.orderLength) +
           " numbers.";
  }
  for (int64_t i = 0; i < needed; i++) {
    if (request.order[i] >= 0 && request.order[i] < rows) continue;
    return "order: expected rows 0 to " + text(rows - 1) + ", got " + text(request.order[i]) + " at position " + text(i) + ".";
  }
  return "";
}

std::string Session::checkRecords(const RunRequest& request) const {
  const int64_t tensorCount = static_cast<int64_t>(state_->tensors.size());
  int64_t bytes = 0;
  for (int64_t tensor : request.records) {
    if (tensor < 0 || tensor >= tensorCount) {
      return "records: expected some of " + text(tensorCount) + " tensors, got tensor " + text(tensor) + ".";
    }
    if (__builtin_add_overflow(bytes, state_->bytesOf(tensor), &bytes)) return "records: expected less to record.";
  }
  if (__builtin_mul_overflow(bytes, request.steps, &bytes) || bytes > request.recordBufferBytes) {
    return "records: expected room for " + text(bytes / kElementBytes) + " values, got room for " +
           text(request.recordBufferBytes / kElementBytes) + ".";
  }
  return "";
}

// ---- Running ----

// Rows first … end-1 of a step's batch.
void Session::State::feedRows(const RunRequest& request, const Feed& feed, int64_t step, int64_t first, int64_t end) const {
  uint8_t* target = static_cast<uint8_t*>(tensors[feed.tensor].data);
  const uint8_t* source = static_cast<const uint8_t*>(feed.source);
  const int64_t bytes = feed.countBytes, batch = batchOf(feed.tensor);
  if (request.order) {
    kernels->pickRows(reinterpret_cast<int32_t*>(target + first * bytes), reinterpret_cast<const int32_t*>(source),
                      request.order + step * batch + first, end - first, bytes / kElementBytes);
  } else {
    const int64_t from = request.firstRow + step * batch + first;
    memmove(target + first * bytes, source + from * bytes, static_cast<size_t>((end - first) * bytes));
  }
}

void Session::State::feed(const RunRequest& request, const Feed& feed, int64_t step) const {
  const int64_t bytes = feed.countBytes;
  if (bytes == 0 || (feed.pace == Pace::run && step > 0)) return;
  if (feed.pace != Pace::row) {
    memmove(tensors[feed.tensor].data, static_cast<const uint8_t*>(feed.source) + step * bytes, static_cast<size_t>(bytes));
    return;
  }
  const int64_t batch = batchOf(feed.tensor);
  if (batch * bytes < kSharedFeedBytes || !poolIsAwake(static_cast<int>(threads))) return feedRows(request, feed, step, 0, batch);
  // Whole groups, for only those are picked side by side.
  const int64_t rowsPerChunk = std::max<int64_t>(1, batch / (4 * threads * kPickedTogether)) * kPickedTogether;
  struct SharedFeed {
    const State* state;
    const RunRequest* request;
    const Feed* feed;
    int64_t step, batch, rowsPerChunk;
  };
  SharedFeed work = {this, &request, &feed, step, batch, rowsPerChunk};
  const auto feedChunk = [](void* context, int64_t chunk, int) {
    const SharedFeed& f = *static_cast<const SharedFeed*>(context);
    const int64_t first = chunk * f.rowsPerChunk;
    f.state->feedRows(*f.request, *f.feed, f.step, first, std::min(first + f.rowsPerChunk, f.batch));
  };
  parallelFor((batch + rowsPerChunk - 1) / rowsPerChunk, static_cast<int>(threads), feedChunk, &work);
}

void Session::State::record(const RunRequest& request, int64_t step) const {
  int64_t bytesPerStep = 0;
  for (int64_t tensor : request.records) bytesPerStep += bytesOf(tensor);
  uint8_t* target = static_cast<uint8_t*>(request.recordBuffer) + step * bytesPerStep;
  for (int64_t tensor : request.records) {
    const int64_t bytes = bytesOf(tensor);
    memmove(target, tensors[tensor].data, static_cast<size_t>(bytes));
    target += bytes;
  }
}

namespace {

// What the pool's threads see of a wave (its units), or of an instruction on its own (null: its chunks).
struct SharedWork {
  const PreparedInstruction* instructions;
  const Unit* units;
  int64_t instruction;
  uint8_t* scratch;
  int64_t scratchStride;
};

void runUnit(void* context, int64_t index, int slot) {
  const SharedWork& work = *static_cast<const SharedWork*>(context);
  const Unit unit = work.units ? work.units[index] : Unit{work.instruction, index};
  const PreparedInstruction& prepared = work.instructions[unit.instruction];
  prepared.run(&prepared.instruction, unit.chunk, work.scratch + slot * work.scratchStride);
}

}  // namespace

namespace {

inline Outcome finish(const PreparedInstruction& prepared) {
  return prepared.finish ? prepared.finish(&prepared.instruction) : Outcome::proceed;
}

}  // namespace

inline Outcome Session::State::runAlone(int64_t index) {
  const PreparedInstruction& prepared = instructions[index];
  const int64_t chunks = prepared.instruction.chunks;
  if (prepared.mayShare && isWorthSharing(prepared.nanoseconds)) {
    SharedWork work = {instructions.data(), nullptr, index, scratch.data(), scratchStride};
    parallelFor(chunks, static_cast<int>(threads), runUnit, &work);
  } else {
    for (int64_t chunk = 0; chunk < chunks; chunk++) prepared.run(&prepared.instruction, chunk, scratch.data());
  }
  return finish(prepared);
}

// Runs instructions [first, end), or up to the one that ends the step or stops the run.
StepEnd Session::State::runInstructions(int64_t first, int64_t end) {
  for (const Wave& wave : waves.waves) {
    if (wave.end <= first) continue;
    if (wave.first >= end) break;
    if (wave.mayShare && wave.first >= first && wave.end <= end && isWorthSharing(wave.nanoseconds)) {
      const StepEnd reached = runTogether(wave);
      if (reached.outcome != Outcome::proceed) return reached;
    } else {
      const int64_t to = std::min(end, wave.end);
      for (int64_t index = std::max(first, wave.first); index < to; index++) {
        const Outcome outcome = runAlone(index);
        if (outcome != Outcome::proceed) return {outcome, index};
      }
    }
  }
  return {};
}

// Of work that may be shared at all.
bool Session::State::isWorthSharing(double nanoseconds) const {
  return nanoseconds >= serialBelow || poolIsAwake(static_cast<int>(threads));
}

StepEnd Session::State::runTogether(const Wave& wave) {
  SharedWork work = {instructions.data(), waves.units.data() + wave.firstUnit, -1, scratch.data(), scratchStride};
  parallelFor(wave.endUnit - wave.firstUnit, static_cast<int>(threads), runUnit, &work);
  for (int64_t index = wave.first; index < wave.end; index++) {
    const Outcome outcome = finish(instructions[index]);
    if (outcome != Outcome::proceed) return {outcome, index};
  }
  return {};
}

// Returns what runInstructions returns.
StepEnd Session::State::runStep(const RunRequest& request, int64_t step, int64_t end) {
  for (const Feed& feed : request.feeds) this->feed(request, feed, step);
  const StepEnd reached = runInstructions(request.firstInstruction, end);
  // A step that stopped is recorded too: its loss says what happened.
  if (!request.records.empty()) record(request, step);
  return reached;
}

// The same, with a look at the clock between its parts.
StepEnd Session::State::runProfiledStep(const RunRequest& request, int64_t step, int64_t end,
                                        std::chrono::steady_clock::time_point began) {
  const auto now = [began] {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - began).count();
  };
  const int64_t parts = end - request.firstInstruction + 2;
  const int64_t markedSteps = (request.profileLength - parts) / (parts + 1);
  double* total = request.profile;
  double* mark = step < markedSteps ? request.profile + parts + step * (parts + 1) : nullptr;
  double last = now();
  if (mark) *mark++ = last;
  const auto partEnded = [&] {
    const double time = now();
    *total++ += time - last;
    if (mark) *mark++ = time;
    last = time;
  };

  for (const Feed& feed : request.feeds) this->feed(request, feed, step);
  partEnded();
  StepEnd reached;
  for (int64_t index = request.firstInstruction; index < end; index++) {
    // What does not run any more has a part too, of no time.
    if (reached.outcome == Outcome::proceed) reached = {runAlone(index), index};
    partEnded();
    if (reached.outcome == Outcome::stopRun) break;
  }
  record(request, step);
  if (reached.outcome != Outcome::stopRun) partEnded();
  return reached;
}

RunResult Session::run(const RunRequest& request) {
  State& state = *state_;
  using Clock = std::chrono::steady_clock;
  const Clock::time_point began = request.profile ? Clock::now() : Clock::time_point();
  const int64_t end = request.endInstruction < 0 ? static_cast<int64_t>(state.instructions.size()) : request.endInstruction;
  if (request.control) __atomic_store_n(&request.control[1], 0, __ATOMIC_RELEASE);
  for (int64_t step = 0; step < request.steps; step++) {
    const bool stop = (request.control && __atomic_load_n(&request.control[0], __ATOMIC_ACQUIRE) != 0) ||
                      (request.cancelled && request.cancelled->load(std::memory_order_acquire));
    if (stop) return {step, Stop::aborted, -1};

    const StepEnd reached =
        request.profile ? state.runProfiledStep(request, step, end, began) : state.runStep(request, step, end);
    if (reached.outcome == Outcome::stopRun) return {step, Stop::nonFinite, reached.instruction};

    if (request.control) __atomic_store_n(&request.control[1], static_cast<int32_t>(step + 1), __ATOMIC_RELEASE);
    if (request.afterStep) request.afterStep(request.afterStepContext, step + 1);
  }
  return {request.steps, Stop::none, -1};
}

}  // namespace thalweg
