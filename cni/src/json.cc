#include "json.h"

#include <cstdint>

namespace cni {
namespace json {

namespace {

// Length of the well-formed UTF-8 sequence at `position` (RFC 3629: no overlong forms, no surrogates, at most
// U+10FFFF); 0 when there is none.
size_t sequenceLength(std::string_view text, size_t position) {
  const auto at = [&](size_t offset) -> unsigned {
    return position + offset < text.size() ? static_cast<unsigned char>(text[position + offset]) : 0u;
  };
  const auto continues = [&](size_t offset, unsigned low = 0x80, unsigned high = 0xBF) {
    return at(offset) >= low && at(offset) <= high;
  };
  const unsigned lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void appendUtf8(std::string* out, uint32_t code) {
  if (code < 0x80) {
    *out += static_cast<char>(code);
  } else if (code < 0x800) {
    *out += static_cast<char>(0xC0 | (code >> 6));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *out += static_cast<char>(0xE0 | (code >> 12));
    *out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    *out += static_cast<char>(0xF0 | (code >> 18));
    *out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    *out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool object(Member* members, size_t count, std::string_view* whole) {
    skipSpace();
    const size_t start = position_;
    if (peek() != '{') return failed("expected an object");
    if (!scanMembers(members, count, 1)) return false;
    if (whole != nullptr) *whole = text_.substr(start, position_ - start);
    return end();
  }

  bool array(size_t limit, std::vector<Value>* elements) {
    skipSpace();
    if (peek() != '[') return failed("expected an array");
    if (!scanElements(elements, limit, 1)) return false;
    return end();
  }

  const Error& error() const { return error_; }

 private:
  int peek() const { return position_ < text_.size() ? static_cast<unsigned char>(text_[position_]) : -1; }

  bool failed(const char* what) {
    error_ = {position_, what};
    return false;
  }

  void skipSpace() {
    while (position_ < text_.size()) {
      const char c = text_[position_];
      if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
      position_++;
    }
  }

  bool end() {
    skipSpace();
    return position_ == text_.size() || failed("unexpected text after the document");
  }

  bool take(char expected, const char* what) {
    if (peek() != expected) return failed(what);
    position_++;
    return true;
  }

  bool scanMembers(Member* members, size_t count, int depth) {
    if (depth > kMaxDepth) return failed("nested too deeply");
    position_++;
    skipSpace();
    if (peek() == '}') {
      position_++;
      return true;
    }
    while (true) {
      const size_t start = position_;
      if (!scanString()) return false;
      const std::string_view rawName = text_.substr(start, position_ - start);
      skipSpace();
      if (!take(':', "expected ':' after a member name")) return false;
      Value value;
      if (!scanValue(&value, depth)) return false;
      if (count > 0) store(members, count, rawName, value);
      skipSpace();
      if (peek() == '}') {
        position_++;
        return true;
      }
      if (!take(',', "expected ',' or '}' in an object")) return false;
      skipSpace();
    }
  }

  bool scanElements(std::vector<Value>* elements, size_t limit, int depth) {
    if (depth > kMaxDepth) return failed("nested too deeply");
    position_++;
    skipSpace();
    if (peek() == ']') {
      position_++;
      return true;
    }
    while (true) {
      Value value;
      if (!scanValue(&value, depth)) return false;
      if (elements != nullptr) {
        if (elements->size() == limit) return failed("too many elements");
        elements->push_back(value);
      }
      skipSpace();
      if (peek() == ']') {
        position_++;
        return true;
      }
      if (!take(',', "expected ',' or ']' in an array")) return false;
    }
  }

  bool scanValue(Value* value, int depth) {
    skipSpace();
    const size_t start = position_;
    if (!scanValueText(value, depth)) return false;
    value->raw = text_.substr(start, position_ - start);
    return true;
  }

  bool scanValueText(Value* value, int depth) {
    switch (peek()) {
      case '{':
        value->kind = Kind::kObject;
        return scanMembers(nullptr, 0, depth + 1);
      case '[':
        value->kind = Kind::kArray;
        return scanElements(nullptr, 0, depth + 1);
      case '"':
        value->kind = Kind::kString;
        return scanString();
      case 't':
        value->kind = Kind::kBoolean;
        return scanWord("true");
      case 'f':
        value->kind = Kind::kBoolean;
        return scanWord("false");
      case 'n':
        value->kind = Kind::kNull;
        return scanWord("null");
      default:
        value->kind = Kind::kNumber;
        return scanNumber();
    }
  }

  bool scanWord(std::string_view word) {
    if (text_.substr(position_, word.size()) != word) return failed("expected a value");
    position_ += word.size();
    return true;
  }

  bool scanDigits() {
    if (peek() < '0' || peek() > '9') return failed("expected a digit");
    while (peek() >= '0' && peek() <= '9') position_++;
    return true;
  }

  bool scanNumber() {
    const bool negative = peek() == '-';
    if (!negative && (peek() < '0' || peek() > '9')) return failed("expected a value");
    if (negative) position_++;
    if (peek() == '0') {
      position_++;
    } else if (!scanDigits()) {
      return false;
    }
    if (peek() == '.') {
      position_++;
      if (!scanDigits()) return false;
    }
    if (peek() == 'e' || peek() == 'E') {
      position_++;
      if (peek() == '+' || peek() == '-') position_++;
      if (!scanDigits()) return false;
    }
    return true;
  }

  bool scanString() {
    if (!take('"', "expected a string")) return false;
    while (true) {
      const int c = peek();
      if (c < 0) return failed("string without an end");
      if (c == '"') {
        position_++;
        return true;
      }
      if (c < 0x20) return failed("control character in a string");
      if (c == '\\') {
        if (!scanEscape()) return false;
        continue;
      }
      const size_t length = sequenceLength(text_, position_);
      if (length == 0) return failed("not UTF-8");
      position_ += length;
    }
  }

  // Four hexadecimal digits at the position; -1 when there are none.
  int scanUnit() {
    int unit = 0;
    for (int i = 0; i < 4; i++) {
      const int digit = peek() < 0 ? -1 : hexDigit(text_[position_]);
      if (digit < 0) return -1;
      unit = unit * 16 + digit;
      position_++;
    }
    return unit;
  }

  bool scanEscape() {
    position_++;
    const int c = peek();
    if (c < 0 || std::string_view("\"\\/bfnrtu").find(static_cast<char>(c)) == std::string_view::npos) {
      return failed("unknown escape in a string");
    }
    position_++;
    if (c != 'u') return true;
    const int unit = scanUnit();
    if (unit < 0) return failed("expected four hexadecimal digits after \\u");
    if (unit >= 0xDC00 && unit <= 0xDFFF) return failed("second half of a surrogate pair without the first");
    if (unit < 0xD800 || unit > 0xDBFF) return true;
    // Half a character has no UTF-8 form.
    if (text_.substr(position_, 2) != "\\u") return failed("first half of a surrogate pair without the second");
    position_ += 2;
    const int second = scanUnit();
    if (second < 0xDC00 || second > 0xDFFF) return failed("first half of a surrogate pair without the second");
    return true;
  }

  static void store(Member* members, size_t count, std::string_view rawName, const Value& value) {
    const std::string_view plain = rawName.substr(1, rawName.size() - 2);
    const bool escaped = plain.find('\\') != std::string_view::npos;
    const std::string decoded = escaped ? decodeString(rawName) : std::string();
    const std::string_view name = escaped ? std::string_view(decoded) : plain;
    for (size_t i = 0; i < count; i++) {
      if (name == members[i].name) members[i].value = value;
    }
  }

  const std::string_view text_;
  size_t position_ = 0;
  Error error_;
};

}  // namespace

const char* describe(Kind kind) {
  switch (kind) {
    case Kind::kAbsent:
      return "nothing";
    case Kind::kNull:
      return "null";
    case Kind::kBoolean:
      return "a boolean";
    case Kind::kNumber:
      return "a number";
    case Kind::kString:
      return "a string";
    case Kind::kArray:
      return "an array";
    case Kind::kObject:
      return "an object";
  }
  return "nothing";
}

bool scanObject(std::string_view text, Member* members, size_t count, std::string_view* object, Error* error) {
  for (size_t i = 0; i < count; i++) members[i].value = {};
  Scanner scanner(text);
  if (scanner.object(members, count, object)) return true;
  *error = scanner.error();
  return false;
}

bool scanArray(std::string_view text, size_t limit, std::vector<Value>* elements, Error* error) {
  Scanner scanner(text);
  if (scanner.array(limit, elements)) return true;
  *error = scanner.error();
  return false;
}

std::string decodeString(std::string_view raw) {
  std::string out;
  const auto unitAt = [&](size_t i) -> uint32_t {
    uint32_t unit = 0;
    for (size_t k = 0; k < 4; k++) unit = unit * 16 + static_cast<uint32_t>(hexDigit(raw[i + k]));
    return unit;
  };
  for (size_t i = 1; i + 1 < raw.size(); i++) {
    if (raw[i] != '\\') {
      out += raw[i];
      continue;
    }
    switch (raw[++i]) {
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'u': {
        uint32_t code = unitAt(i + 1);
        i += 4;
        if (code >= 0xD800 && code <= 0xDBFF) {
          code = 0x10000 + ((code - 0xD800) << 10) + (unitAt(i + 3) - 0xDC00);
          i += 6;
        }
        appendUtf8(&out, code);
        break;
      }
      default:
        out += raw[i];
    }
  }
  return out;
}

void appendQuoted(std::string* out, std::string_view text) {
  static const char kHex[] = "0123456789abcdef";
  *out += '"';
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequenceLength(text, i);
    if (length == 0) {
      *out += "\xEF\xBF\xBD";
      i++;
      continue;
    }
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += static_cast<char>(c);
    } else if (c < 0x20 || c == 0x7F) {
      *out += "\\u00";
      *out += kHex[c >> 4];
      *out += kHex[c & 15];
    } else {
      out->append(text.substr(i, length));
    }
    i += length;
  }
  *out += '"';
}

bool isUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequenceLength(text, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

}  // namespace json
}  // namespace cni
