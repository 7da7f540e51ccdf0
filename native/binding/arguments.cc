#include "arguments.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

namespace thalweg {
namespace {

std::string describe(const Napi::Value& value) {
  if (value.IsEmpty() || value.IsUndefined()) return "undefined";
  if (value.IsNull()) return "null";
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value() ? "true" : "false";
  if (value.IsString()) return "\"" + value.As<Napi::String>().Utf8Value() + "\"";
  if (value.IsNumber()) {
    char digits[32];
    snprintf(digits, sizeof digits, "%.17g", value.As<Napi::Number>().DoubleValue());
    return digits;
  }
  if (value.IsFunction()) return "a function";
  if (value.IsArray()) return "an array";
  if (value.IsTypedArray()) return "a typed array";
  if (value.IsObject()) return "an object";
  return "another type";
}

}  // namespace

Napi::Error makeError(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = strcmp(code, kBadArgument) == 0 ? Napi::TypeError::New(env, message) : Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

Memory memoryOf(const Napi::TypedArray& array) {
  Memory memory;
  napi_env env = array.Env();
  size_t length = 0, offset = 0;
  napi_value buffer = nullptr;
  bool isArrayBuffer = true;
  if (napi_get_typedarray_info(env, array, &memory.type, &length, &memory.data, &buffer, &offset) != napi_ok) return {};
  memory.length = static_cast<int64_t>(length);
  memory.bytes = static_cast<int64_t>(array.ByteLength());
  // What a typed array shows is an ArrayBuffer or a SharedArrayBuffer, and this asks for the former only.
  memory.shared = napi_is_arraybuffer(env, buffer, &isArrayBuffer) == napi_ok && !isArrayBuffer;
  return memory;
}

void Arguments::fail(const char* code, const std::string& message) {
  if (failed_) return;
  failed_ = true;
  error_ = makeError(env_, code, message);
}

void Arguments::unexpected(const std::string& path, const std::string& expected, const Napi::Value& got) {
  if (!failed_) fail(kBadArgument, path + ": expected " + expected + ", got " + describe(got) + ".");
}

// A value that a getter gave, or what the getter threw.
Napi::Value Arguments::taken(const Napi::Value& value) {
  if (!env_.IsExceptionPending()) return value;
  error_ = env_.GetAndClearPendingException();
  failed_ = true;
  return Napi::Value();
}

Napi::Value Arguments::member(const Napi::Object& object, const char* name) {
  return failed_ ? Napi::Value() : taken(object.Get(name));
}

Napi::Value Arguments::element(const Napi::Array& list, uint32_t index) {
  return failed_ ? Napi::Value() : taken(list.Get(index));
}

Napi::Object Arguments::object(const Napi::Value& value, const std::string& path) {
  if (!failed_ && value.IsObject()) return value.As<Napi::Object>();
  unexpected(path, "an object", value);
  return Napi::Object();
}

Napi::Array Arguments::list(const Napi::Value& value, const std::string& path) {
  if (!failed_ && value.IsArray()) return value.As<Napi::Array>();
  unexpected(path, "an array", value);
  return Napi::Array();
}

Napi::Function Arguments::function(const Napi::Value& value, const std::string& path) {
  if (!failed_ && value.IsFunction()) return value.As<Napi::Function>();
  unexpected(path, "a function", value);
  return Napi::Function();
}

Napi::TypedArray Arguments::typedArray(const Napi::Value& value, const std::string& path) {
  if (!failed_ && value.IsTypedArray()) return value.As<Napi::TypedArray>();
  unexpected(path, "a typed array", value);
  return Napi::TypedArray();
}

std::string Arguments::text(const Napi::Value& value, const std::string& path) {
  if (!failed_ && value.IsString()) return value.As<Napi::String>().Utf8Value();
  unexpected(path, "a string", value);
  return "";
}

int64_t Arguments::wholeNumber(const Napi::Value& value, const std::string& path, int64_t least, int64_t most) {
  if (failed_) return 0;
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  const bool inRange = number >= static_cast<double>(least) && number <= static_cast<double>(most);
  if (inRange && floor(number) == number) return static_cast<int64_t>(number);
  const std::string upTo = most == kLargestWhole ? " or more" : " to " + std::to_string(most);
  unexpected(path, "a whole number, " + std::to_string(least) + upTo, value);
  return 0;
}

double Arguments::positiveNumber(const Napi::Value& value, const std::string& path) {
  if (failed_) return 0;
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (number >= 0) return number;
  unexpected(path, "a number, 0 or more", value);
  return 0;
}

std::vector<int64_t> Arguments::wholeNumbers(const Napi::Value& value, const std::string& path) {
  std::vector<int64_t> numbers;
  const Napi::Array elements = list(value, path);
  for (uint32_t i = 0; i < length(elements); i++) numbers.push_back(wholeNumber(element(elements, i), path));
  return numbers;
}

}  // namespace thalweg
