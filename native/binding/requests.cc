#include "requests.h"

#include <string.h>

#include <utility>

namespace thalweg {
namespace {

std::string at(const std::string& path, size_t index) { return path + "[" + std::to_string(index) + "]"; }

TensorDescription readTensor(Arguments& arguments, const Napi::Value& value, const std::string& path) {
  TensorDescription tensor;
  const Napi::Object object = arguments.object(value, path);
  tensor.block = arguments.wholeNumber(arguments.member(object, "block"), path + ".block");
  tensor.offset = arguments.wholeNumber(arguments.member(object, "offset"), path + ".offset");
  const std::string dtype = arguments.text(arguments.member(object, "dtype"), path + ".dtype");
  if (dtype != "float32" && dtype != "int32") {
    arguments.fail(kBadArgument, path + ".dtype: expected \"float32\" or \"int32\", got \"" + dtype + "\".");
  }
  tensor.dtype = dtype == "int32" ? Dtype::int32 : Dtype::float32;
  tensor.shape = arguments.wholeNumbers(arguments.member(object, "shape"), path + ".shape");
  return tensor;
}

// A number, a boolean (1 or 0), a string, or an array of numbers or of strings.
void readAttribute(Arguments& arguments, const std::string& name, const Napi::Value& value, const std::string& path,
                   Attributes* attributes) {
  if (value.IsNumber()) return attributes->setNumber(name, value.As<Napi::Number>().DoubleValue());
  if (value.IsBoolean()) return attributes->setNumber(name, value.As<Napi::Boolean>().Value() ? 1 : 0);
  if (value.IsString()) return attributes->setText(name, value.As<Napi::String>().Utf8Value());
  if (!value.IsArray()) return arguments.unexpected(path, "a number, a boolean, a string or an array of one of them", value);

  const Napi::Array list = value.As<Napi::Array>();
  std::vector<double> numbers;
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < arguments.length(list); i++) {
    const Napi::Value element = arguments.element(list, i);
    if (element.IsNumber() && texts.empty()) {
      numbers.push_back(element.As<Napi::Number>().DoubleValue());
    } else if (element.IsString() && numbers.empty()) {
      texts.push_back(element.As<Napi::String>().Utf8Value());
    } else {
      arguments.unexpected(at(path, i), "only numbers or only strings", element);
    }
  }
  if (texts.empty()) {
    attributes->setNumbers(name, std::move(numbers));
  } else {
    attributes->setTexts(name, std::move(texts));
  }
}

InstructionDescription readInstruction(Arguments& arguments, const Napi::Value& value, const std::string& path) {
  InstructionDescription instruction;
  const Napi::Object object = arguments.object(value, path);
  instruction.op = arguments.text(arguments.member(object, "op"), path + ".op");
  instruction.inputs = arguments.wholeNumbers(arguments.member(object, "inputs"), path + ".inputs");
  instruction.outputs = arguments.wholeNumbers(arguments.member(object, "outputs"), path + ".outputs");
  const Napi::Value attributes = arguments.member(object, "attributes");
  if (arguments.failed() || attributes.IsUndefined()) return instruction;

  const Napi::Object named = arguments.object(attributes, path + ".attributes");
  if (arguments.failed()) return instruction;
  const Napi::Array names = named.GetPropertyNames();
  for (uint32_t i = 0; i < arguments.length(names); i++) {
    const std::string name = arguments.text(arguments.element(names, i), path + ".attributes");
    const Napi::Value attribute = arguments.member(named, name.c_str());
    if (arguments.failed() || attribute.IsUndefined()) continue;
    readAttribute(arguments, name, attribute, path + ".attributes." + name, &instruction.attributes);
  }
  return instruction;
}

// A typed array of a request, and its name for messages. Addresses are taken from it when all else has been read.
struct Source {
  std::string path;
  Napi::TypedArray array;
};

// Refuses memory that the run would write into and that could go away meanwhile.
void requireStable(Arguments& arguments, const Memory& memory, const std::string& path) {
  if (memory.shared) return;
  arguments.fail(kNotShared, path + ": expected an array over a SharedArrayBuffer, because the run writes into it.");
}

const char* nameOf(Dtype dtype) { return dtype == Dtype::float32 ? "Float32Array" : "Int32Array"; }
napi_typedarray_type typeOf(Dtype dtype) { return dtype == Dtype::float32 ? napi_float32_array : napi_int32_array; }

// Fills in where the feed's data lies, and how many pieces there are.
void placeFeed(Arguments& arguments, const Source& source, const Session& session, Feed* feed, ReadRequest* read) {
  const TensorDescription& tensor = session.plan().tensors[feed->tensor];
  const Memory memory = memoryOf(source.array);
  if (memory.type != typeOf(tensor.dtype)) {
    const std::string name = "tensor " + std::to_string(feed->tensor);
    return arguments.fail(kBadArgument, source.path + ": expected a " + nameOf(tensor.dtype) + ", as " + name + " is.");
  }
  int64_t elements = elementCount(tensor.shape);  // of one piece
  if (feed->pace == Pace::row && !tensor.shape.empty() && tensor.shape[0] > 0) elements /= tensor.shape[0];
  const bool wrongLength = elements == 0 ? memory.length != 0 : memory.length % elements != 0;
  if (wrongLength || (feed->pace == Pace::run && memory.length != elements)) {
    const std::string expected = (feed->pace == Pace::run ? "" : "a multiple of ") + std::to_string(elements) + " elements";
    return arguments.fail(kBadArgument, source.path + ": expected " + expected + ", got " + std::to_string(memory.length) + ".");
  }
  feed->count = elements == 0 ? 0 : memory.length / elements;
  feed->countBytes = elements * kElementBytes;
  feed->source = memory.data;
  if (!memory.shared && memory.bytes > 0) {
    read->copies.emplace_back(new uint8_t[static_cast<size_t>(memory.bytes)]);
    memcpy(read->copies.back().get(), memory.data, static_cast<size_t>(memory.bytes));
    feed->source = read->copies.back().get();
  }
}

Pace readPace(Arguments& arguments, const Napi::Value& value, const std::string& path) {
  const std::string text = arguments.text(value, path);
  if (text == "row") return Pace::row;
  if (text == "step") return Pace::step;
  if (text != "run") arguments.fail(kBadArgument, path + ": expected \"row\", \"step\" or \"run\", got \"" + text + "\".");
  return Pace::run;
}

}  // namespace

PlanDescription readPlan(Arguments& arguments, const Napi::Value& value) {
  PlanDescription plan;
  const Napi::Object object = arguments.object(value, "plan");
  plan.blocks = arguments.wholeNumbers(arguments.member(object, "blocks"), "plan.blocks");
  const Napi::Array tensors = arguments.list(arguments.member(object, "tensors"), "plan.tensors");
  for (uint32_t i = 0; i < arguments.length(tensors); i++) {
    plan.tensors.push_back(readTensor(arguments, arguments.element(tensors, i), at("plan.tensors", i)));
  }
  const Napi::Array instructions = arguments.list(arguments.member(object, "instructions"), "plan.instructions");
  for (uint32_t i = 0; i < arguments.length(instructions); i++) {
    plan.instructions.push_back(readInstruction(arguments, arguments.element(instructions, i), at("plan.instructions", i)));
  }
  return plan;
}

ReadRequest readRequest(Arguments& arguments, const Napi::Value& value, const Session& session) {
  ReadRequest read;
  RunRequest& request = read.request;
  const int64_t tensorCount = static_cast<int64_t>(session.plan().tensors.size());
  const Napi::Object object = arguments.object(value, "run");
  request.steps = arguments.wholeNumber(arguments.member(object, "steps"), "run.steps", 0, INT32_MAX);

  std::vector<Source> sources;  // of the feeds
  if (const Napi::Value feeds = arguments.member(object, "feeds"); !arguments.failed() && !feeds.IsUndefined()) {
    const Napi::Array list = arguments.list(feeds, "run.feeds");
    for (uint32_t i = 0; i < arguments.length(list); i++) {
      const std::string path = at("run.feeds", i);
      const Napi::Object feed = arguments.object(arguments.element(list, i), path);
      request.feeds.emplace_back();
      request.feeds.back().tensor = arguments.wholeNumber(arguments.member(feed, "tensor"), path + ".tensor", 0, tensorCount - 1);
      request.feeds.back().pace = readPace(arguments, arguments.member(feed, "each"), path + ".each");
      sources.push_back({path + ".source", arguments.typedArray(arguments.member(feed, "source"), path + ".source")});
    }
  }

  Source order = {"run.order", {}}, recordsInto = {"run.records.into", {}}, profile = {"run.profile", {}};
  Source control = {"run.control", {}};
  if (const Napi::Value given = arguments.member(object, "order"); !arguments.failed() && !given.IsUndefined()) {
    order.array = arguments.typedArray(given, order.path);
  }
  if (const Napi::Value given = arguments.member(object, "firstRow"); !arguments.failed() && !given.IsUndefined()) {
    request.firstRow = arguments.wholeNumber(given, "run.firstRow");
  }
  if (const Napi::Value given = arguments.member(object, "records"); !arguments.failed() && !given.IsUndefined()) {
    const Napi::Object records = arguments.object(given, "run.records");
    request.records = arguments.wholeNumbers(arguments.member(records, "tensors"), "run.records.tensors");
    recordsInto.array = arguments.typedArray(arguments.member(records, "into"), recordsInto.path);
  }
  if (const Napi::Value given = arguments.member(object, "profile"); !arguments.failed() && !given.IsUndefined()) {
    profile.array = arguments.typedArray(given, profile.path);
  }
  if (const Napi::Value given = arguments.member(object, "control"); !arguments.failed() && !given.IsUndefined()) {
    control.array = arguments.typedArray(given, control.path);
  }
  if (const Napi::Value given = arguments.member(object, "onProgress"); !arguments.failed() && !given.IsUndefined()) {
    read.onProgress = arguments.function(given, "run.onProgress");
  }
  if (arguments.failed()) return read;

  // From here on no JavaScript runs, so addresses stay what they are.
  for (size_t i = 0; i < sources.size() && !arguments.failed(); i++) {
    placeFeed(arguments, sources[i], session, &request.feeds[i], &read);
    read.arrays.push_back(sources[i].array);
  }
  if (!order.array.IsEmpty()) {
    const Memory memory = memoryOf(order.array);
    if (memory.type != napi_int32_array) arguments.fail(kBadArgument, "run.order: expected an Int32Array.");
    if (arguments.failed()) return read;
    const int32_t* rows = static_cast<const int32_t*>(memory.data);
    read.order.assign(rows, rows + memory.length);
    read.order.reserve(1);  // so that an empty order is not taken for none
    request.order = read.order.data();
    request.orderLength = memory.length;
  }
  if (!recordsInto.array.IsEmpty()) {
    const Memory memory = memoryOf(recordsInto.array);
    if (memory.type != napi_float32_array && memory.type != napi_int32_array) {
      arguments.fail(kBadArgument, "run.records.into: expected a Float32Array or an Int32Array.");
    }
    requireStable(arguments, memory, recordsInto.path);
    request.recordBuffer = memory.data;
    request.recordBufferBytes = memory.bytes;
    read.arrays.push_back(recordsInto.array);
  }
  if (!profile.array.IsEmpty()) {
    const Memory memory = memoryOf(profile.array);
    if (memory.type != napi_float64_array) arguments.fail(kBadArgument, "run.profile: expected a Float64Array.");
    requireStable(arguments, memory, profile.path);
    request.profile = static_cast<double*>(memory.data);
    request.profileLength = memory.length;
    read.arrays.push_back(profile.array);
  }
  if (!control.array.IsEmpty()) {
    const Memory memory = memoryOf(control.array);
    if (memory.type != napi_int32_array || memory.length < 2) {
      arguments.fail(kBadArgument, "run.control: expected an Int32Array of 2 elements.");
    }
    requireStable(arguments, memory, control.path);
    request.control = static_cast<int32_t*>(memory.data);
    read.arrays.push_back(control.array);
  }
  if (!arguments.failed()) {
    const std::string problem = session.check(request);
    if (!problem.empty()) arguments.fail(kBadArgument, "run." + problem);
  }
  return read;
}

}  // namespace thalweg
