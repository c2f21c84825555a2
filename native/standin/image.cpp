#include "image.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string_view>

namespace standin {
namespace {

// Words of PTX: names and numbers with their dots (".version", "8.0"), and single characters of punctuation.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {}

  // "" at the end.
  std::string_view next() {
    skipSpace();
    const size_t start = at_;
    while (at_ < text_.size() && isWord(text_[at_])) {
      at_++;
    }
    if (at_ == start && at_ < text_.size()) {
      at_++;
    }
    return text_.substr(start, at_ - start);
  }

 private:
  static bool isWord(char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '$'; }

  bool skip(std::string_view begin, std::string_view end) {
    if (text_.substr(at_, begin.size()) != begin) {
      return false;
    }
    const size_t found = text_.find(end, at_ + begin.size());
    at_ = found == std::string_view::npos ? text_.size() : found + end.size();
    return true;
  }

  void skipSpace() {
    while (at_ < text_.size()) {
      if (isspace(static_cast<unsigned char>(text_[at_]))) {
        at_++;
      } else if (!skip("//", "\n") && !skip("/*", "*/") && !skip("\"", "\"")) {
        return;
      }
    }
  }

  std::string_view text_;
  size_t at_ = 0;
};

unsigned number(std::string_view word) { return static_cast<unsigned>(strtoul(std::string(word).c_str(), nullptr, 0)); }

// ".u64" → 8
unsigned typeBytes(std::string_view word) {
  if (word.size() < 3 || word.size() > 5 || std::string_view("busf").find(word[1]) == std::string_view::npos ||
      !std::all_of(word.begin() + 2, word.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return 0;
  }
  return number(word.substr(2)) / 8;
}

// From after the opening parenthesis to after the closing one.
std::vector<unsigned> readParameters(Words& words) {
  std::vector<unsigned> bytes;
  unsigned type = 0;
  unsigned count = 1;
  bool any = false;
  for (std::string_view word = words.next(); !word.empty(); word = words.next()) {
    if (word == "," || word == ")") {
      if (any) {
        bytes.push_back(type * count);
      }
      if (word == ")") {
        break;
      }
      type = 0;
      count = 1;
      any = false;
    } else if (word == ".param") {
      any = true;
    } else if (word == "[") {
      count = number(words.next());
    } else if (typeBytes(word) != 0) {
      type = typeBytes(word);
    }
  }
  return bytes;
}

// From after .entry to the opening brace of the body.
PtxEntry readEntry(Words& words) {
  PtxEntry entry{std::string(words.next()), {}, 1024};
  for (std::string_view word = words.next(); !word.empty() && word != "{" && word != ";"; word = words.next()) {
    if (word == "(") {
      entry.parameterBytes = readParameters(words);
    } else if (word == ".maxntid" || word == ".reqntid") {
      unsigned threads = number(words.next());
      Words ahead = words;
      while (ahead.next() == ",") {
        threads *= number(ahead.next());
        words = ahead;
      }
      entry.maxThreads = std::min(entry.maxThreads, threads);
    }
  }
  return entry;
}

}  // namespace

std::optional<PtxImage> readPtx(const std::string& text) {
  PtxImage image{0, 0, false, text, {}};
  Words words(text);
  for (std::string_view word = words.next(); !word.empty(); word = words.next()) {
    if (word == ".version") {
      const std::string version(words.next());
      const size_t dot = version.find('.');
      image.version = number(version) * 10 + (dot == std::string::npos ? 0 : number(version.substr(dot + 1)));
    } else if (word == ".target") {
      const std::string_view target = words.next();
      image.target = target.substr(0, 3) == "sm_" ? number(target.substr(3)) : 0;
      image.exactTarget = target.back() == 'a';
    } else if (word == ".entry") {
      image.entries.push_back(readEntry(words));
    }
  }
  if (image.version == 0 || image.target == 0) {
    return std::nullopt;
  }
  return image;
}

}  // namespace standin
