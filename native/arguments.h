// Reading what JavaScript passed. None of it can run JavaScript (no coercion, no getters but of plain objects and
// arrays of ours), so that all of it is defined in an environment that is going away: there node-addon-api hands out
// empty values, and what is called on an empty value ends the process. What is missing or of another type reads as 0,
// false,
// "" or an empty list; a call that could not read its arguments gets no promise either, and is not carried out.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

namespace hybridnet {

inline int32_t ToInt32(const Napi::Value& value) {
  int32_t result = 0;
  return !value.IsEmpty() && napi_get_value_int32(value.Env(), value, &result) == napi_ok ? result : 0;
}

inline uint32_t ToUint32(const Napi::Value& value) {
  uint32_t result = 0;
  return !value.IsEmpty() && napi_get_value_uint32(value.Env(), value, &result) == napi_ok ? result : 0;
}

inline bool ToBool(const Napi::Value& value) {
  bool result = false;
  return !value.IsEmpty() && napi_get_value_bool(value.Env(), value, &result) == napi_ok && result;
}

inline std::string ToText(const Napi::Value& value) {
  return !value.IsEmpty() && value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

inline uint32_t LengthOf(const Napi::Value& value) {
  return !value.IsEmpty() && value.IsArray() ? value.As<Napi::Array>().Length() : 0;
}

/** @return an empty value when it cannot be read */
inline Napi::Value Element(const Napi::Value& array, uint32_t index) {
  napi_value result = nullptr;
  if (LengthOf(array) <= index || napi_get_element(array.Env(), array, index, &result) != napi_ok) return {};
  return {array.Env(), result};
}

/** @return an empty value when it cannot be read */
inline Napi::Value Property(const Napi::Value& object, const char* name) {
  napi_value result = nullptr;
  if (object.IsEmpty() || !object.IsObject()) return {};
  if (napi_get_named_property(object.Env(), object, name, &result) != napi_ok) return {};
  return {object.Env(), result};
}

inline std::vector<std::string> ToTexts(const Napi::Value& value) {
  std::vector<std::string> result;
  const uint32_t length = LengthOf(value);
  for (uint32_t i = 0; i < length; i++) result.push_back(ToText(Element(value, i)));
  return result;
}

}  // namespace hybridnet
