// What the driver must know of a PTX image: what it asks for, and its kernels' parameters.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace standin {

struct PtxEntry {
  std::string name;
  std::vector<unsigned> parameterBytes;
  unsigned maxThreads;  // .maxntid or .reqntid; 1024 if there is neither
};

struct PtxImage {
  unsigned version;    // 80 for .version 8.0
  unsigned target;     // 90 for sm_90 and sm_90a
  bool exactTarget;    // sm_90a: runs on nothing else
  std::string text;
  std::vector<PtxEntry> entries;
};

// Empty if the text is no PTX.
std::optional<PtxImage> readPtx(const std::string& text);

}  // namespace standin
