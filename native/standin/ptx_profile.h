// Counters of a kernel's memory requests, line by line: 32-byte sectors per request to global memory, and wavefronts
// per request to shared memory (1 without bank conflicts). A request is what the lanes of a warp ask for when they
// run an instruction for the same time. The table goes to stderr, or to the file STANDIN_PROFILE names, when the
// process ends.
#pragma once

#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <tuple>
#include <vector>

namespace standin::ptx {

class Profile {
 public:
  // Where an instruction stands: kernel, line, shared memory, store, bytes a lane.
  using Site = std::tuple<const char*, int, bool, bool, u32>;

  static Profile& instance() {
    static Profile profile;
    return profile;
  }

  void note(const char* site_key, int line, bool shared_memory, bool stores, u32 bytes, u64 address) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const Dim at = blk->ctaid;
    if (std::tie(at.x, at.y, at.z) != std::tie(block_.x, block_.y, block_.z) || block_kernel_ != blk->kernel) {
      flush();
      block_ = at;
      block_kernel_ = blk->kernel;
    }
    const Site site{blk->kernel, line, shared_memory, stores, bytes};
    const u32 turn = turns_[{cur->linear, site_key}]++;
    requests_[{site, site_key, cur->linear / 32, turn}].push_back(address);
  }

 private:
  struct Total {
    u64 requests = 0, units = 0, ideal = 0, bytes = 0;
  };
  using Request = std::tuple<Site, const char*, u32, u32>;

  ~Profile() {
    flush();
    const char* path = getenv("STANDIN_PROFILE");
    FILE* out = path != nullptr ? fopen(path, "a") : stderr;
    if (out == nullptr) {
      return;
    }
    for (const auto& [site, total] : totals_) {
      const auto& [kernel, line, shared_memory, stores, bytes] = site;
      fprintf(out, "%s\t%d\t%s\t%s\t%u\t%llu\t%.3f\t%.3f\t%llu\n", kernel, line, shared_memory ? "shared" : "global",
              stores ? "store" : "load", bytes, static_cast<unsigned long long>(total.requests),
              double(total.units) / double(total.requests), double(total.ideal) / double(total.requests),
              static_cast<unsigned long long>(total.bytes));
    }
    if (path != nullptr) {
      fclose(out);
    }
  }

  void flush() {
    for (const auto& [request, addresses] : requests_) {
      const Site& site = std::get<0>(request);
      const u32 bytes = std::get<4>(site);
      Total& total = totals_[site];
      total.requests++;
      total.bytes += addresses.size() * bytes;
      if (std::get<2>(site)) {
        count_wavefronts(addresses, bytes, total);
      } else {
        count_sectors(addresses, bytes, total);
      }
    }
    requests_.clear();
    turns_.clear();
  }

  static void count_sectors(const std::vector<u64>& addresses, u32 bytes, Total& total) {
    std::vector<u64> sectors;
    for (const u64 address : addresses) {
      for (u64 sector = address / 32; sector <= (address + bytes - 1) / 32; sector++) {
        sectors.push_back(sector);
      }
    }
    std::sort(sectors.begin(), sectors.end());
    total.units += u64(std::unique(sectors.begin(), sectors.end()) - sectors.begin());
    total.ideal += (addresses.size() * bytes + 31) / 32;
  }

  // 32 lanes of up to 4 bytes, 16 of 8, or 8 of 16 take part in one wavefront, if no two need different words of one
  // of the 32 banks.
  static void count_wavefronts(const std::vector<u64>& addresses, u32 bytes, Total& total) {
    const size_t lanes = bytes <= 4 ? 32 : bytes == 8 ? 16 : 8;
    for (size_t first = 0; first < addresses.size(); first += lanes) {
      std::map<u64, std::vector<u64>> words;  // of each bank
      for (size_t i = first; i < std::min(addresses.size(), first + lanes); i++) {
        for (u32 word = 0; word < std::max(1u, bytes / 4); word++) {
          const u64 place = addresses[i] / 4 + word;
          std::vector<u64>& bank = words[place % 32];
          if (std::find(bank.begin(), bank.end(), place) == bank.end()) {
            bank.push_back(place);
          }
        }
      }
      size_t most = 0;
      for (const auto& [bank, in_bank] : words) {
        most = std::max(most, in_bank.size());
      }
      total.units += most;
      total.ideal++;
    }
  }

  std::mutex mutex_;
  Dim block_{~0u, ~0u, ~0u};
  const char* block_kernel_ = nullptr;
  std::map<std::pair<u32, const char*>, u32> turns_;
  std::map<Request, std::vector<u64>> requests_;
  std::map<Site, Total> totals_;
};

}  // namespace standin::ptx

// A label of its own for each instruction, also where several stand in one line.
#define PROFILE_TEXT(x) #x
#define PROFILE_KEY(x) PROFILE_TEXT(x)
#define PROFILE(shared_memory, stores, bytes)                                                                   \
  Profile::instance().note(PROFILE_KEY(__COUNTER__), __LINE__, shared_memory, stores, bytes,                     \
                           (shared_memory) ? shared.offset(address) : address);
// ldmatrix and stmatrix: a row of 16 bytes for each of the first lanes.
#define PROFILE_ROWS(stores, count)                                                                              \
  if (cur->lane < 8 * (count)) {                                                                                 \
    Profile::instance().note(PROFILE_KEY(__COUNTER__), __LINE__, true, stores, 16, offset);                      \
  }
#define PROFILE_COPY(bytes)                                                                                      \
  Profile::instance().note(PROFILE_KEY(__COUNTER__), __LINE__, false, false, bytes, source);                     \
  Profile::instance().note(PROFILE_KEY(__COUNTER__), __LINE__, true, true, bytes, shared.offset(address));
