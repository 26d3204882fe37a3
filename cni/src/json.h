// A strict JSON reader that looks without taking apart: a document is validated as a whole (RFC 8259, well-formed
// UTF-8, bounded depth) and the few members asked for are returned as views of the original text. Nothing is
// re-serialised, so unknown members, the order of members and the spelling of numbers survive an echo unchanged. Memory
// does not grow with the document.
#ifndef HYBRIDNET_CNI_JSON_H_
#define HYBRIDNET_CNI_JSON_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cni {
namespace json {

// Arrays and objects within each other, the outermost included.
constexpr int kMaxDepth = 64;

enum class Kind { kAbsent, kNull, kBoolean, kNumber, kString, kArray, kObject };

// "a string", "an object", ...
const char* describe(Kind kind);

struct Value {
  Kind kind = Kind::kAbsent;
  // The value as written, without surrounding white space.
  std::string_view raw;
};

struct Error {
  size_t offset = 0;
  const char* what = "";
};

// A member to look for; the last one of a name wins, as in JavaScript and Go.
struct Member {
  const char* name;
  Value value;
};

// Validates `text`, which must be exactly one object, fills in the values of `members` and, unless null, `object` with
// the object as written. On an error the members are meaningless.
bool scanObject(std::string_view text, Member* members, size_t count, std::string_view* object, Error* error);

// Validates `text`, which must be exactly one array of at most `limit` elements.
bool scanArray(std::string_view text, size_t limit, std::vector<Value>* elements, Error* error);

// The text of a string value that was validated by a scan.
std::string decodeString(std::string_view raw);

// Appends `text` as a JSON string. Bytes that are not well-formed UTF-8 become U+FFFD.
void appendQuoted(std::string* out, std::string_view text);

bool isUtf8(std::string_view text);

}  // namespace json
}  // namespace cni

#endif  // HYBRIDNET_CNI_JSON_H_
