// H += XT X, lower triangle, on the tensor cores of Hopper: wgmma on tiles that the tensor memory
// accelerator brings.
//
// quench_syrk256_sm90_bf16: h[i, j] += Σ_t x[t, i] · x[t, j] for the tiles of 128 x 256 that touch
//   the lower triangle. quench_syrk128_sm90_bf16: the same with tiles of 128 x 128, for matrices of
//   which the former leaves multiprocessors without work. Both give the same bytes.
//   Operands: tensor map of the parts of x (syrk.cuh) one below the other, boxes of 64 tokens x 64
//   columns, 128-byte swizzle; rows of a part; more (may be null: one part); tokens, n; h, stride.
//   A part that has another one below it has a multiple of 64 rows, and zeros beyond the tokens.
//   grid of lowerTile<256>'s numbers: 32 · g(g + 1)/2 with g = ⌈n / 1024⌉, or of lowerTile<128>'s, 64
//   · g(g + 1)/2; block 384; dynamic shared memory SYRK_SHARED; h anywhere.
//
//   The first warpgroup copies: a ring of stages, each 64 tokens of 128 and of 256 (128) columns of
//   x. Barrier `full` of a stage completes when its bytes have arrived, `empty` when both of the
//   other warpgroups have multiplied them. Those hold 64 x 256 (128) sums each, in registers.
//
//   Both operands lie as x does, token after token ("MN-major"): a box is 64 rows of 128 bytes. From
//   8 tokens to the next 8 it is 1,024 bytes, from 64 columns to the next 64 a box of 8,192.
//
//   Order and error are those of quench_syrk_bf16 (syrk.cu).
#include <cuda.h>

#include "syrk.cuh"

using namespace quench;

namespace {

constexpr int DEPTH = 64;  // tokens of a stage
constexpr int BOX = 64;    // columns of a box
constexpr int BOX_BYTES = DEPTH * BOX * sizeof(bf16);
constexpr int GROUP_ROWS = 64;  // results of a warpgroup
constexpr int MMA_DEPTH = 16;
constexpr int WARPGROUP = 128;
constexpr int CONSUMERS = TILE / GROUP_ROWS;
constexpr int THREADS = WARPGROUP * (1 + CONSUMERS);

// Registers of a thread that copies and of one that multiplies: 128 · (40 + 2 · 232) <= 65536.
constexpr int COPYING_REGISTERS = 40;
constexpr int MULTIPLYING_REGISTERS = 232;

template <int WIDTH>
struct Stages {
  static constexpr int LEFT_BYTES = TILE / BOX * BOX_BYTES;
  static constexpr int BYTES = LEFT_BYTES + WIDTH / BOX * BOX_BYTES;
  static constexpr int COUNT = WIDTH == 256 ? 4 : 6;
};

// The ring, its barriers, and what it takes to start it at a multiple of 1,024 bytes.
constexpr int SYRK_SHARED = 196608 + 1024 + 128;
static_assert(Stages<256>::BYTES * Stages<256>::COUNT == 196608);
static_assert(Stages<128>::BYTES * Stages<128>::COUNT == 196608);
static_assert(SYRK_SHARED == 197760, "as the launcher has it");

__device__ __forceinline__ void initialize(uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

__device__ __forceinline__ void arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

__device__ __forceinline__ void arriveExpecting(uint32_t barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}

// Waits for the end of the barrier's phase of that parity; the phase before the first one has ended
// and has parity 1.
__device__ __forceinline__ void await(uint32_t barrier, int parity) {
  uint32_t done = 0;
  while (done == 0) {
    asm volatile(
        "{\n\t"
        ".reg .pred done;\n\t"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2;\n\t"
        "selp.u32 %0, 1, 0, done;\n\t"
        "}"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory");
  }
}

__device__ __forceinline__ void copyBox(uint32_t to, const CUtensorMap& map, int column, int row,
                                        uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, "
      "{%2, %3}], [%4];" ::"r"(to),
      "l"(&map), "r"(column), "r"(row), "r"(barrier)
      : "memory");
}

// Describes 16 tokens of an operand that starts at `address`, a multiple of 1,024.
__device__ __forceinline__ uint64_t operand(uint32_t address) {
  constexpr uint64_t SWIZZLE_128 = 1ull << 62;
  constexpr uint64_t TOKENS = static_cast<uint64_t>(8 * BOX * sizeof(bf16) / 16) << 32;
  constexpr uint64_t COLUMNS = static_cast<uint64_t>(BOX_BYTES / 16) << 16;
  return SWIZZLE_128 | TOKENS | COLUMNS | (address & 0x3FFFF) / 16;
}

#define SUMS_8(d, i)                                                                        \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
      "+f"(d[i + 6]), "+f"(d[i + 7])
#define SUMS_32(d, i) SUMS_8(d, i), SUMS_8(d, i + 8), SUMS_8(d, i + 16), SUMS_8(d, i + 24)

// d += left · right, 64 x 128, over 16 tokens; both operands token after token.
__device__ __forceinline__ void multiplyAdd(float (&d)[64], uint64_t left, uint64_t right) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "%64, %65, 1, 1, 1, 1, 1;"
      : SUMS_32(d, 0), SUMS_32(d, 32)
      : "l"(left), "l"(right));
}

// The same, 64 x 256.
__device__ __forceinline__ void multiplyAdd(float (&d)[128], uint64_t left, uint64_t right) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, "
      "%127}, "
      "%128, %129, 1, 1, 1, 1, 1;"
      : SUMS_32(d, 0), SUMS_32(d, 32), SUMS_32(d, 64), SUMS_32(d, 96)
      : "l"(left), "l"(right));
}

// Where stages and barriers lie in shared memory.
template <int WIDTH>
struct Ring {
  uint32_t start;

  __device__ __forceinline__ uint32_t left(int stage) const {
    return start + stage * Stages<WIDTH>::BYTES;
  }

  __device__ __forceinline__ uint32_t right(int stage) const {
    return left(stage) + Stages<WIDTH>::LEFT_BYTES;
  }

  __device__ __forceinline__ uint32_t full(int stage) const {
    return start + Stages<WIDTH>::BYTES * Stages<WIDTH>::COUNT + stage * 8;
  }

  __device__ __forceinline__ uint32_t empty(int stage) const {
    return full(Stages<WIDTH>::COUNT + stage);
  }
};

// A position in the ring: its stage, and the parity of the stage's use.
template <int WIDTH>
struct Position {
  int stage = 0;
  int parity = 0;

  __device__ __forceinline__ void advance() {
    stage++;
    if (stage == Stages<WIDTH>::COUNT) {
      stage = 0;
      parity ^= 1;
    }
  }
};

// Copies all stages, one after the other: what the first thread does.
template <int WIDTH>
__device__ __forceinline__ void copyStages(const Ring<WIDTH>& ring, const CUtensorMap& map, int rows,
                                           int firstProduct, i64 tokens, int row, int column) {
  Position<WIDTH> at;
  for (int product = firstProduct; product < PRODUCTS; product++) {
    const int leftRow = leftPart(product) * rows;
    const int rightRow = rightPart(product) * rows;
    for (int token = 0; token < tokens; token += DEPTH) {
      await(ring.empty(at.stage), at.parity ^ 1);
      const uint32_t full = ring.full(at.stage);
      arriveExpecting(full, Stages<WIDTH>::BYTES);
#pragma unroll
      for (int box = 0; box < TILE / BOX; box++) {
        copyBox(ring.left(at.stage) + box * BOX_BYTES, map, row + box * BOX, leftRow + token, full);
      }
#pragma unroll
      for (int box = 0; box < WIDTH / BOX; box++) {
        copyBox(ring.right(at.stage) + box * BOX_BYTES, map, column + box * BOX, rightRow + token,
                full);
      }
      at.advance();
    }
  }
}

// Sums 64 x WIDTH results over all stages.
template <int WIDTH>
__device__ __forceinline__ void multiplyStages(const Ring<WIDTH>& ring, i64 steps, int group,
                                               float (&sums)[WIDTH / 2]) {
  Position<WIDTH> at;
  int before = 0;
  for (i64 step = 0; step < steps; step++) {
    await(ring.full(at.stage), at.parity);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    const uint64_t left = operand(ring.left(at.stage) + group * BOX_BYTES);
    const uint64_t right = operand(ring.right(at.stage));
#pragma unroll
    for (int k = 0; k < DEPTH / MMA_DEPTH; k++) {
      const int further = k * MMA_DEPTH * BOX * sizeof(bf16) / 16;
      multiplyAdd(sums, left + further, right + further);
    }
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    // The products of the step before are done then, and its stage may be filled again.
    asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
    if (step > 0 && threadIdx.x % WARPGROUP == 0) {
      arrive(ring.empty(before));
    }
    before = at.stage;
    at.advance();
  }
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
}

template <int WIDTH>
__device__ __forceinline__ void syrk(const CUtensorMap& map, int rows, const i32* more, i64 tokens,
                                     i64 n, f32* h, i64 hStride) {
  extern __shared__ __align__(1024) unsigned char shared[];
  const LowerTile tile = lowerTile<WIDTH>(blockIdx.x, n);
  if (!tile.valid) {
    return;
  }
  const uint32_t unaligned = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const Ring<WIDTH> ring = {(unaligned + 1023) / 1024 * 1024};
  const int row = tile.band * TILE;
  const int column = tile.column * WIDTH;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < Stages<WIDTH>::COUNT; stage++) {
      initialize(ring.full(stage), 1);
      initialize(ring.empty(stage), CONSUMERS);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();

  const int first = firstProduct(more == nullptr ? 1 : *more + 1);
  if (threadIdx.x < WARPGROUP) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COPYING_REGISTERS));
    if (threadIdx.x == 0) {
      copyStages<WIDTH>(ring, map, rows, first, tokens, row, column);
    }
    return;
  }
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(MULTIPLYING_REGISTERS));
  const int group = threadIdx.x / WARPGROUP - 1;
  const i64 steps = (PRODUCTS - first) * ((tokens + DEPTH - 1) / DEPTH);
  float sums[WIDTH / 2] = {};
  multiplyStages<WIDTH>(ring, steps, group, sums);

  const int lane = threadIdx.x % 32;
  const i64 r = row + group * GROUP_ROWS + threadIdx.x % WARPGROUP / 32 * 16 + lane / 4;
  const bool paired = pairsAligned(h, hStride);
#pragma unroll
  for (int j = 0; j < WIDTH / 8; j++) {
    const i64 c = column + j * 8 + lane % 4 * 2;
    addPair(h, hStride, paired, n, r, c, sums[4 * j], sums[4 * j + 1]);
    addPair(h, hStride, paired, n, r + 8, c, sums[4 * j + 2], sums[4 * j + 3]);
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    quench_syrk256_sm90_bf16(const __grid_constant__ CUtensorMap parts, i32 rows, const i32* more,
                             i64 tokens, i64 n, f32* h, i64 hStride) {
  syrk<256>(parts, rows, more, tokens, n, h, hStride);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    quench_syrk128_sm90_bf16(const __grid_constant__ CUtensorMap parts, i32 rows, const i32* more,
                             i64 tokens, i64 n, f32* h, i64 hStride) {
  syrk<128>(parts, rows, more, tokens, n, h, hStride);
}
