// Threads, barriers, collectives and asynchronous copies, in several orders, and reports of kernels that are wrong.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "gpu.h"

namespace {

const char* const kOrders[] = {"forward", "reverse", "random"};

std::vector<float> ramp(size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

void barriersSeparateSteps() {
  const Gpu gpu;
  for (const unsigned threads : {32u, 64u, 256u, 1024u}) {
    const unsigned blocks = 7;
    const DevicePointer input = gpu.upload(ramp(blocks * threads));
    const DevicePointer output = gpu.upload(std::vector<float>(blocks));
    CHECK_EQUAL(0, gpu.run("treeSum", blocks, threads, threads * 4, input, output));
    const std::vector<float> sums = gpu.download<float>(output, blocks);
    for (unsigned b = 0; b < blocks; b++) {
      double expected = 0;
      for (unsigned i = 0; i < threads; i++) {
        expected += b * threads + i + 1;  // below 2^24: exact in float, in any order
      }
      CHECK_EQUAL(expected, static_cast<double>(sums[b]));
    }
  }
}

void namedBarriersCount() {
  const Gpu gpu;
  const unsigned rounds = 50;
  const DevicePointer output = gpu.upload(std::vector<unsigned>(rounds));
  CHECK_EQUAL(0, gpu.run("pingPong", 1, 64, 0, output, rounds));
  const std::vector<unsigned> seen = gpu.download<unsigned>(output, rounds);
  for (unsigned round = 0; round < rounds; round++) {
    CHECK_EQUAL(round * round, seen[round]);
  }
}

void barriersReducePredicates() {
  const Gpu gpu;
  const DevicePointer output = gpu.upload(std::vector<int>(4, -1));
  CHECK_EQUAL(0, gpu.run("votes", 1, 96, 0, output));
  const std::vector<int> votes = gpu.download<int>(output, 4);
  CHECK_EQUAL(32, votes[0]);
  CHECK_EQUAL(0, votes[1]);
  CHECK_EQUAL(1, votes[2]);
  CHECK_EQUAL(1, votes[3]);
}

std::vector<unsigned> expectedWarpSums(unsigned rounds) {
  std::vector<unsigned> values(32);
  std::iota(values.begin(), values.end(), 1u);
  for (unsigned round = 0; round < rounds; round++) {
    std::vector<unsigned> next(32);
    for (unsigned lane = 0; lane < 32; lane++) {
      const unsigned from = round % 2 == 0 || lane < 8 ? 0 : 8;
      const unsigned to = round % 2 == 1 && lane < 8 ? 8 : 32;
      next[lane] = std::accumulate(values.begin() + from, values.begin() + to, 0u) * 3 + lane;
    }
    values = next;
  }
  return values;
}

void collectivesExchangeValues() {
  const Gpu gpu;
  const unsigned rounds = 9;
  const DevicePointer output = gpu.upload(std::vector<unsigned>(3 * 96));
  CHECK_EQUAL(0, gpu.run("warpSums", 3, 96, 0, output, rounds));
  const std::vector<unsigned> sums = gpu.download<unsigned>(output, 3 * 96);
  const std::vector<unsigned> expected = expectedWarpSums(rounds);
  for (size_t i = 0; i < sums.size(); i++) {
    CHECK_EQUAL(expected[i % 32], sums[i]);
  }
}

void exitedThreadsAreNotWaitedFor() {
  const Gpu gpu;
  const DevicePointer output = gpu.upload(std::vector<unsigned>(80, 99));
  CHECK_EQUAL(0, gpu.run("earlyExit", 1, 80, 0, output));
  const std::vector<unsigned> seen = gpu.download<unsigned>(output, 80);
  for (unsigned i = 0; i < 80; i++) {
    if (i % 4 == 1) {
      CHECK_EQUAL(99u, seen[i]);
    } else {
      CHECK(seen[i] >= 1 && seen[i] <= (i < 64 ? 24u : 12u));
    }
  }
}

void asyncCopiesArriveAtTheWait() {
  const Gpu gpu;
  const DevicePointer source = gpu.upload(ramp(64 * 8));
  const DevicePointer output = gpu.upload(std::vector<float>(64 * 8));
  for (const unsigned pending : {0u, 1u, 2u}) {
    CHECK_EQUAL(0, gpu.run("asyncCopy", 1, 64, 64 * 32, source, output, pending));
    const std::vector<float> got = gpu.download<float>(output, 64 * 8);
    for (size_t i = 0; i < got.size(); i++) {
      const bool second = i % 8 >= 4;
      if (second ? pending > 0 : pending > 1) {
        CHECK(std::isnan(got[i]));  // in flight
      } else {
        CHECK_EQUAL(i % 8 >= 6 ? 0.0f : static_cast<float>(i + 1), got[i]);  // the last 8 bytes have no source
      }
    }
  }
}

void mbarriersGuardARing() {
  const Gpu gpu;
  const DevicePointer source = gpu.upload(ramp(8 * 32));
  const DevicePointer output = gpu.upload(std::vector<float>(32));
  CHECK_EQUAL(0, gpu.run("bulkPipeline", 1, 64, 0, source, output));
  const std::vector<float> sums = gpu.download<float>(output, 32);
  for (unsigned lane = 0; lane < 32; lane++) {
    CHECK_EQUAL(8.0f * static_cast<float>(lane + 1) + 32 * 28, sums[lane]);
  }
}

void sharedMemoryIsFresh() {
  const Gpu gpu;
  const DevicePointer output = gpu.upload(std::vector<unsigned>(64 * 20));
  CHECK_EQUAL(0, gpu.run("freshShared", 20, 64, 0, output));
  for (const unsigned value : gpu.download<unsigned>(output, 64 * 20)) {
    CHECK_EQUAL(0xFFFFFFFFu, value);
  }
}

void ordersDiffer() {
  const Gpu gpu;
  const With workers("WORKERS", "1");
  const size_t count = 5 * 64;
  std::vector<std::vector<unsigned>> orders;
  for (const char* order : kOrders) {
    const With setting("ORDER", order);
    const DevicePointer next = gpu.upload(std::vector<unsigned>{0});
    const DevicePointer seen = gpu.upload(std::vector<unsigned>(count));
    CHECK_EQUAL(0, gpu.run("record", 5, 64, 0, next, seen));
    orders.push_back(gpu.download<unsigned>(seen, count));
  }
  std::vector<unsigned> ascending(count);
  std::iota(ascending.begin(), ascending.end(), 0u);
  CHECK(orders[0] == ascending);
  CHECK(std::is_permutation(orders[2].begin(), orders[2].end(), ascending.begin()));
  CHECK(orders[2] != ascending);
  std::reverse(ascending.begin(), ascending.end());
  CHECK(orders[1] == ascending);
  CHECK(orders[2] != ascending);
}

struct Mistake {
  unsigned how;
  int result;
  const char* reason;
};

void mistakesFailTheLaunch() {
  const Mistake mistakes[] = {
      {0, 719, "32 threads wait at barrier 3 for 64"},
      {1, 719, "lacks lanes 0x00000020"},
      {2, 719, "different collectives"},
      {3, 719, "lane 16, which is not in it"},
      {4, 719, "64 threads spin"},
      {5, 700, "access to address 0x40"},
      {6, 719, "the stack of a thread overflowed"},
      {7, 719, "thread (0, 0, 0): unknown instruction foo.bar"},
      {8, 719, "mbarrier: not initialized"},
      {9, 719, "mbarrier: more arrivals than expected"},
      {10, 719, "bulk copies to its shared memory were in flight"},
      {11, 719, "overwritten while an asynchronous instruction read it"},
      {12, 719, "not a multiple of the warp size"},
      {13, 719, "there are 16 barriers"},
      {14, 719, "bulk copies from shared memory were in flight"},
  };
  for (const Mistake& mistake : mistakes) {
    if (underAddressSanitizer() && (mistake.how == 5 || mistake.how == 6)) {
      continue;  // its report ends the process
    }
    const Gpu gpu;
    CHECK_EQUAL(mistake.result, gpu.run("misbehave", 1, 64, 0, mistake.how, DevicePointer{64}));
    const std::string text = reason(mistake.result);
    if (!contains(text, mistake.reason) || !contains(text, "kernel misbehave")) {
      printf("mistake %u is reported as: %s\n", mistake.how, text.c_str());
      failures++;
    }
    DevicePointer address = 0;
    CHECK_EQUAL(mistake.result, cuMemAlloc_v2(&address, 16));  // the context is dead
  }
  const Gpu gpu;  // a new one is alive
  const DevicePointer output = gpu.upload(std::vector<unsigned>(32));
  CHECK_EQUAL(0, gpu.run("warpSums", 1, 32, 0, output, 1u));
}

// Barriers that are missing show, since threads are not in step as the lanes of a warp often are.
void aMissingBarrierShows() {
  for (const char* order : kOrders) {
    const With setting("ORDER", order);
    const Gpu gpu;
    const DevicePointer output = gpu.upload(std::vector<float>{0});
    CHECK_EQUAL(0, gpu.run("missingBarrier", 1, 64, 256, output));
    CHECK(gpu.download<float>(output, 1)[0] != 64 || std::string(order) == "reverse");  // there it is right by chance
  }
}

void launchesMayFollowEachOtherOnManyWorkers() {
  const Gpu gpu;
  for (const char* workers : {"1", "2", "5"}) {
    const With setting("WORKERS", workers);
    const DevicePointer output = gpu.upload(std::vector<unsigned>(64 * 100));
    for (int i = 0; i < 20; i++) {
      CHECK_EQUAL(0, gpu.run("warpSums", 100, 64, 0, output, 3u));
    }
    const std::vector<unsigned> expected = expectedWarpSums(3);
    const std::vector<unsigned> sums = gpu.download<unsigned>(output, 64 * 100);
    for (size_t i = 0; i < sums.size(); i++) {
      CHECK_EQUAL(expected[i % 32], sums[i]);
    }
  }
}

}  // namespace

int main() {
  for (const char* order : kOrders) {
    const With setting("ORDER", order);
    barriersSeparateSteps();
    namedBarriersCount();
    barriersReducePredicates();
    collectivesExchangeValues();
    exitedThreadsAreNotWaitedFor();
    asyncCopiesArriveAtTheWait();
    mbarriersGuardARing();
    sharedMemoryIsFresh();
  }
  ordersDiffer();
  aMissingBarrierShows();
  launchesMayFollowEachOtherOnManyWorkers();
  mistakesFailTheLaunch();
  return report();
}
