// Replays the battery's cases without Node, so that sanitizers and emulators can watch.
//
//     replay FILE [--isa NAME]… [--threads N]… [--repeat N] [--concurrent N]
//
// Runs every case on every instruction set that works here (or those named) with 1, 2 and 3 threads (or those named),
// and compares the results with the expected bits. --repeat runs each session that many times, from the same contents.
// --concurrent takes the runs from that many threads at once, each with a session and memory of its own.
//
// The file is text, one word after the other, in lines:
//     case <name>
//     block <index> <bytes>
//     tensor <id> <block> <byteOffset> <float32|int32> <extents…>        (no extents: a scalar)
//     instruction <op> in <ids…> out <ids…>
//     attribute <name> number <value> | numbers <values…> | text <text> | texts <count>, then that many lines
//     data <tensor> <words of 8 hexadecimal digits…>                      (contents before the step)
//     expect <tensor> <words…>                                            (contents after it; any NaN equals any NaN)
//     end
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../runtime/registry.h"
#include "../runtime/session.h"

#if defined(__SANITIZE_ADDRESS__)
#define THALWEG_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define THALWEG_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(THALWEG_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#endif

namespace {

using namespace thalweg;

struct Contents {
  int64_t tensor;
  std::vector<uint32_t> words;
};

struct Case {
  std::string name;
  PlanDescription plan;
  std::vector<Contents> data, expected;
};

struct CommandLine {
  std::string file;
  std::vector<std::string> isas;
  std::vector<int64_t> threads;
  int64_t repeat = 1;
  int64_t concurrent = 1;
};

[[noreturn]] void fail(const std::string& message) {
  fprintf(stderr, "replay: %s\n", message.c_str());
  exit(2);
}

// ---- Reading the file ----

class CaseReader {
 public:
  explicit CaseReader(const std::string& path) : path_(path), file_(path) {
    if (!file_) fail("cannot open " + path);
  }

  // False at the end of the file.
  bool read(Case* result) {
    *result = {};
    bool inCase = false;
    while (nextLine()) {
      const std::string keyword = word();
      if (keyword.empty()) continue;
      if (keyword == "case") {
        result->name = rest();
        inCase = true;
      } else if (!inCase) {
        complain("expected a case");
      } else if (keyword == "end") {
        return true;
      } else {
        readPart(keyword, result);
      }
    }
    if (inCase) complain("the last case has no end");
    return false;
  }

 private:
  void readPart(const std::string& keyword, Case* result) {
    if (keyword == "block") {
      if (integer() != static_cast<int64_t>(result->plan.blocks.size())) complain("expected blocks in order");
      result->plan.blocks.push_back(integer());
    } else if (keyword == "tensor") {
      if (integer() != static_cast<int64_t>(result->plan.tensors.size())) complain("expected tensors in order");
      TensorDescription tensor;
      tensor.block = integer();
      tensor.offset = integer();
      const std::string dtype = word();
      if (dtype != "float32" && dtype != "int32") complain("expected float32 or int32");
      tensor.dtype = dtype == "float32" ? Dtype::float32 : Dtype::int32;
      tensor.shape = integers();
      result->plan.tensors.push_back(std::move(tensor));
    } else if (keyword == "instruction") {
      InstructionDescription instruction;
      instruction.op = word();
      if (word() != "in") complain("expected in");
      instruction.inputs = integers();
      if (word() != "out") complain("expected out");
      instruction.outputs = integers();
      result->plan.instructions.push_back(std::move(instruction));
    } else if (keyword == "attribute") {
      if (result->plan.instructions.empty()) complain("expected an instruction before its attributes");
      readAttribute(&result->plan.instructions.back().attributes);
    } else if (keyword == "data") {
      result->data.push_back(contents(*result));
    } else if (keyword == "expect") {
      result->expected.push_back(contents(*result));
    } else {
      complain("unknown word \"" + keyword + "\"");
    }
  }

  void readAttribute(Attributes* attributes) {
    const std::string name = word(), kind = word();
    if (kind == "number") {
      attributes->setNumber(name, number());
    } else if (kind == "numbers") {
      std::vector<double> values;
      while (!atEnd()) values.push_back(number());
      attributes->setNumbers(name, std::move(values));
    } else if (kind == "text") {
      attributes->setText(name, rest());
    } else if (kind == "texts") {
      std::vector<std::string> values;
      for (int64_t left = integer(); left > 0; left--) {
        if (!nextLine()) complain("expected more lines of text");
        values.push_back(line_);
      }
      attributes->setTexts(name, std::move(values));
    } else {
      complain("unknown kind of attribute \"" + kind + "\"");
    }
  }

  Contents contents(const Case& of) {
    Contents result;
    result.tensor = integer();
    if (result.tensor < 0 || result.tensor >= static_cast<int64_t>(of.plan.tensors.size())) complain("no such tensor");
    while (!atEnd()) result.words.push_back(static_cast<uint32_t>(strtoul(word().c_str(), nullptr, 16)));
    if (static_cast<int64_t>(result.words.size()) != elementCount(of.plan.tensors[result.tensor].shape)) {
      complain("expected as many words as the tensor has elements");
    }
    return result;
  }

  bool nextLine() {
    position_ = 0;
    lineNumber_++;
    if (!std::getline(file_, line_)) return false;
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    return true;
  }

  void skipSpaces() {
    while (position_ < line_.size() && line_[position_] == ' ') position_++;
  }
  bool atEnd() {
    skipSpaces();
    return position_ == line_.size();
  }
  std::string word() {
    skipSpaces();
    const size_t begin = position_;
    while (position_ < line_.size() && line_[position_] != ' ') position_++;
    return line_.substr(begin, position_ - begin);
  }
  std::string rest() {
    skipSpaces();
    return line_.substr(position_);
  }
  int64_t integer() {
    const std::string text = word();
    char* end;
    const long long value = strtoll(text.c_str(), &end, 10);
    if (text.empty() || *end) complain("expected a whole number, got \"" + text + "\"");
    return value;
  }
  double number() {
    const std::string text = word();
    char* end;
    const double value = strtod(text.c_str(), &end);
    if (text.empty() || *end) complain("expected a number, got \"" + text + "\"");
    return value;
  }
  // Whole numbers as far as they go.
  std::vector<int64_t> integers() {
    std::vector<int64_t> values;
    while (!atEnd() && strchr("-0123456789", line_[position_])) values.push_back(integer());
    return values;
  }
  [[noreturn]] void complain(const std::string& message) { fail(path_ + ":" + std::to_string(lineNumber_) + ": " + message); }

  std::string path_, line_;
  std::ifstream file_;
  size_t position_ = 0;
  int64_t lineNumber_ = 0;
};

// ---- Memory with fences ----

// The blocks of one session. Bytes that belong to no tensor are fences: they hold a pattern, and under the address sanitizer they
// may not even be read, so a kernel that leaves its operands is caught although all of them lie in one block.
class Arena {
 public:
  explicit Arena(const PlanDescription& plan) : plan_(plan) {
    for (size_t block = 0; block < plan.blocks.size(); block++) {
      const size_t bytes = static_cast<size_t>(std::max<int64_t>(plan.blocks[block], 0));
      regions.push_back({::operator new (std::max<size_t>(bytes, 1), std::align_val_t{kAlignment}), static_cast<int64_t>(bytes)});
      findFences(block, bytes);
    }
  }
  ~Arena() {
    open();
    for (Region& region : regions) ::operator delete (region.data, std::align_val_t{kAlignment});
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  uint32_t* words(int64_t tensor) {
    const TensorDescription& description = plan_.tensors[tensor];
    return reinterpret_cast<uint32_t*>(static_cast<uint8_t*>(regions[description.block].data) + description.offset);
  }

  // NaN in every tensor, so that reading what was never written shows; then the case's data; the pattern in the fences.
  void fill(const Case& from) {
    open();
    for (Region& region : regions) memset(region.data, 0xff, static_cast<size_t>(region.bytes));
    for (const Contents& contents : from.data) {
      if (contents.words.empty()) continue;
      memcpy(words(contents.tensor), contents.words.data(), contents.words.size() * sizeof(uint32_t));
    }
    for (const Fence& fence : fences_) memset(fence.begin, kPattern, fence.bytes);
    close();
  }

  // Nothing when the fences are whole.
  std::string checkFences() {
    open();
    for (const Fence& fence : fences_) {
      for (size_t i = 0; i < fence.bytes; i++) {
        if (fence.begin[i] == kPattern) continue;
        return "byte " + std::to_string(fence.offset + i) + " of block " + std::to_string(fence.block) +
               " was written, and belongs to no tensor";
      }
    }
    return "";
  }

  std::vector<Region> regions;

 private:
  static constexpr uint8_t kPattern = 0xa5;

  struct Fence {
    uint8_t* begin;
    size_t bytes, block, offset;
  };

  // What the tensors of a block leave free, from the start of the block to its end.
  void findFences(size_t block, size_t bytes) {
    std::vector<std::pair<size_t, size_t>> used;
    for (const TensorDescription& tensor : plan_.tensors) {
      const int64_t elements = elementCount(tensor.shape);
      if (tensor.block != static_cast<int64_t>(block) || tensor.offset < 0 || elements < 0) continue;
      used.emplace_back(tensor.offset, tensor.offset + elements * kElementBytes);
    }
    used.emplace_back(bytes, bytes);
    std::sort(used.begin(), used.end());
    size_t reached = 0;
    for (const auto& [begin, end] : used) {
      if (begin > reached && begin <= bytes) {
        fences_.push_back({static_cast<uint8_t*>(regions[block].data) + reached, begin - reached, block, reached});
      }
      reached = std::max(reached, end);
    }
  }

#if defined(THALWEG_ADDRESS_SANITIZER)
  void open() {
    for (const Fence& fence : fences_) ASAN_UNPOISON_MEMORY_REGION(fence.begin, fence.bytes);
  }
  void close() {
    for (const Fence& fence : fences_) ASAN_POISON_MEMORY_REGION(fence.begin, fence.bytes);
  }
#else
  void open() {}
  void close() {}
#endif

  const PlanDescription& plan_;
  std::vector<Fence> fences_;
};

// ---- Comparing ----

bool isNan(uint32_t word) { return (word & 0x7fffffff) > 0x7f800000; }

std::string compare(const Case& of, Arena& arena) {
  for (const Contents& expected : of.expected) {
    const TensorDescription& tensor = of.plan.tensors[expected.tensor];
    const uint32_t* actual = arena.words(expected.tensor);
    size_t bad = 0, first = 0;
    for (size_t i = expected.words.size(); i-- > 0;) {
      const bool bothNan = tensor.dtype == Dtype::float32 && isNan(actual[i]) && isNan(expected.words[i]);
      if (actual[i] == expected.words[i] || bothNan) continue;
      bad++;
      first = i;
    }
    if (bad == 0) continue;
    float values[2];
    memcpy(&values[0], &actual[first], sizeof(float));
    memcpy(&values[1], &expected.words[first], sizeof(float));
    char line[256];
    snprintf(line, sizeof line, "tensor %lld: %zu of %zu elements differ, first at %zu: got %08x (%.9g), expected %08x (%.9g)",
             static_cast<long long>(expected.tensor), bad, expected.words.size(), first, actual[first], values[0],
             expected.words[first], values[1]);
    return line;
  }
  return "";
}

// ---- Running ----

struct Run {
  const Case* of;
  std::string isa;
  int64_t threads;
};

// Nothing, or what went wrong.
std::string perform(const Run& run, int64_t repeat) {
  Arena arena(run.of->plan);
  LoadError error;
  LoadOptions options;
  options.isa = run.isa;
  options.threads = run.threads;
  options.serialBelow = 0;  // cases are small, and are to be shared out all the same
  std::unique_ptr<Session> session = Session::load(run.of->plan, arena.regions, options, &error);
  if (!session) return error.text;
  if (run.isa != session->isa()) return std::string("asked for another instruction set than ") + session->isa();
  for (int64_t i = 0; i < repeat; i++) {
    arena.fill(*run.of);
    const RunRequest request;
    std::string problem = session->check(request);
    if (problem.empty()) {
      session->run(request);
      problem = arena.checkFences();
    }
    if (problem.empty()) problem = compare(*run.of, arena);
    if (!problem.empty()) return problem;
  }
  return "";
}

CommandLine readCommandLine(int count, char** words) {
  CommandLine options;
  for (int i = 1; i < count; i++) {
    const std::string word = words[i];
    const bool isOption = word.compare(0, 2, "--") == 0;
    if (isOption && i + 1 == count) fail("expected a value after " + word);
    if (!isOption) {
      if (!options.file.empty()) fail("expected one file, got " + options.file + " and " + word);
      options.file = word;
    } else if (word == "--isa") {
      options.isas.push_back(words[++i]);
    } else if (word == "--threads") {
      options.threads.push_back(atoll(words[++i]));
    } else if (word == "--repeat") {
      options.repeat = atoll(words[++i]);
    } else if (word == "--concurrent") {
      options.concurrent = atoll(words[++i]);
    } else {
      fail("unknown option " + word);
    }
  }
  if (options.file.empty()) fail("usage: replay FILE [--isa NAME]… [--threads N]… [--repeat N] [--concurrent N]");
  if (options.threads.empty()) options.threads = {1, 2, 3};
  if (options.isas.empty()) {
    for (const KernelSet* set : supportedKernelSets()) options.isas.push_back(set->isa);
  }
  return options;
}

}  // namespace

int main(int argumentCount, char** arguments) {
  const CommandLine options = readCommandLine(argumentCount, arguments);
  std::vector<std::unique_ptr<Case>> cases;
  CaseReader reader(options.file);
  for (auto next = std::make_unique<Case>(); reader.read(next.get()); next = std::make_unique<Case>()) {
    cases.push_back(std::move(next));
  }

  std::vector<Run> runs;
  for (const auto& one : cases) {
    for (const std::string& isa : options.isas) {
      for (int64_t threads : options.threads) runs.push_back({one.get(), isa, threads});
    }
  }

  std::atomic<size_t> next{0}, failures{0};
  std::mutex printing;
  auto work = [&] {
    for (size_t index = next++; index < runs.size(); index = next++) {
      const Run& run = runs[index];
      const std::string problem = perform(run, options.repeat);
      if (problem.empty()) continue;
      failures++;
      const std::lock_guard<std::mutex> lock(printing);
      printf("%s [%s, %lld threads]: %s\n", run.of->name.c_str(), run.isa.c_str(), static_cast<long long>(run.threads),
             problem.c_str());
    }
  };
  std::vector<std::thread> workers;
  for (int64_t i = 1; i < options.concurrent; i++) workers.emplace_back(work);
  work();
  for (std::thread& worker : workers) worker.join();

  printf("%zu cases, %zu runs, %zu failures\n", cases.size(), runs.size(), failures.load());
  return failures > 0 || cases.empty() ? 1 : 0;
}
