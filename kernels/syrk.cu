// H += XT X, lower triangle, on tensor cores of sm_80 and later.
//
// quench_split_f32: x [tokens, n] F32 into parts (syrk.cuh), each [rows, n] BF16; rows beyond the
//   tokens are 0. Operands: x, stride; parts, elements of a row, rows; more (int32, 0 before the
//   launch): becomes the largest number of parts that an element has, less one; tokens, n.
//   grid (⌈n / 1024⌉, min(rows, 65535)), block 256, no shared memory.
//   parts aligned to 16 bytes, a row a multiple of 8 elements; x anywhere.
//   Moves 4 bytes in and 6 out an element.
//
// quench_split_bf16: the same of BF16, which is its only part; `more` is not touched.
//   Moves 2 bytes in and 2 out an element.
//
// quench_syrk_bf16: h[i, j] += Σ_t x[t, i] · x[t, j] for the tiles of 128 x 128 on and below the
//   diagonal. Operands: parts, elements of a row, rows of a part; more (may be null: one part);
//   tokens, n; h, stride.
//   grid of lowerTile<128>'s numbers: 64 · g(g + 1)/2 with g = ⌈n / 1024⌉; block 256; dynamic shared
//   memory SYRK_SHARED. parts aligned to 16 bytes, a row a multiple of 8 elements; h anywhere.
//   Each element is summed by one thread in the order of the tokens, product by product.
//
//   A block has 8 warps of 64 x 32 results each. Tiles of 32 tokens x 128 columns come by cp.async
//   into a ring of STAGES; what lies outside x is filled with 0. The 16-byte pieces of a row lie
//   permuted by the row (piece ^ row % 8), so that the 8 rows of an 8 x 8 matrix that ldmatrix reads
//   lie in different banks; so do the 16 pieces of a row that half a warp writes.
//
//   Error, with u = 2^-24: tensor cores align the 16 products of an mma and the sum so far to the
//   largest and cut off the rest. With two extra bits (Hopper) that is less than 17/2 u of the
//   largest, and 2 u for the result: less than one u a token. With one extra bit and 8 products
//   (Ampere) it may be 11 u for 8 tokens.
#include "elements.cuh"
#include "syrk.cuh"

using namespace quench;

namespace {

constexpr int DEPTH = 32;                     // tokens of a stage
constexpr int STAGES = 4;
constexpr int PIECE = 8;                      // elements of 16 bytes
constexpr int PIECES = TILE / PIECE;          // of a row
constexpr int OPERAND = DEPTH * TILE;         // elements of one operand's tile
constexpr int SYRK_SHARED = STAGES * 2 * OPERAND * sizeof(bf16);
constexpr int WARP_ROWS = 64;
constexpr int WARP_COLUMNS = 32;
constexpr int MMA_ROWS = 16;
constexpr int MMA_COLUMNS = 8;
constexpr int MMA_DEPTH = 16;

static_assert(SYRK_SHARED == 65536, "as the launcher has it");

__device__ __forceinline__ unsigned sharedAddress(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

// Copies 16 bytes, of which the first `bytes` come from global memory and the rest is 0.
__device__ __forceinline__ void copyPiece(bf16* to, const bf16* from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(sharedAddress(to)), "l"(from),
               "r"(bytes)
               : "memory");
}

__device__ __forceinline__ void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most PENDING of the groups committed last are under way.
template <int PENDING>
__device__ __forceinline__ void awaitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Four 8 x 8 matrices, transposed; each thread names a row.
__device__ __forceinline__ void loadTransposed(uint32_t (&m)[4], const bf16* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(sharedAddress(row))
               : "memory");
}

__device__ __forceinline__ void multiplyAdd(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                            uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Element (row, column) of a tile in shared memory, column a multiple of PIECE.
__device__ __forceinline__ int swizzled(int row, int column) {
  return row * TILE + ((column / PIECE) ^ (row % 8)) * PIECE;
}

// x as its parts.
struct Source {
  const bf16* parts;
  i64 stride;
  i64 rows;
  i64 tokens;
  i64 n;
};

// Starts the copy of tokens [token, token + DEPTH) x columns [column, column + TILE).
__device__ __forceinline__ void copyTile(bf16* tile, const Source& x, int part, i64 token,
                                         i64 column) {
  const bf16* from = x.parts + part * x.rows * x.stride;
#pragma unroll
  for (int i = 0; i < DEPTH * PIECES / 256; i++) {
    const int piece = threadIdx.x + i * 256;
    const int row = piece / PIECES;
    const int inRow = piece % PIECES * PIECE;
    const i64 left = token + row < x.tokens ? x.n - column - inRow : 0;
    const int elements = left <= 0 ? 0 : left < PIECE ? static_cast<int>(left) : PIECE;
    const i64 at = elements == 0 ? 0 : (token + row) * x.stride + column + inRow;
    copyPiece(tile + swizzled(row, inRow), from + at, elements * 2);
  }
}

// The results of a warp: 4 x 4 mma tiles.
using Sums = float[WARP_ROWS / MMA_ROWS][WARP_COLUMNS / MMA_COLUMNS][4];

__device__ __forceinline__ void multiplyStage(Sums& sums, const bf16* left, const bf16* right,
                                              int warpRow, int warpColumn) {
  const int lane = threadIdx.x % 32;
  const int row = lane % 8;
  const int low = lane / 8 % 2 * 8;  // which of four matrices this thread names a row of
  const int high = lane / 16 * 8;
#pragma unroll
  for (int k = 0; k < DEPTH; k += MMA_DEPTH) {
    uint32_t a[WARP_ROWS / MMA_ROWS][4];
    uint32_t b[WARP_COLUMNS / 16][4];
#pragma unroll
    for (int i = 0; i < WARP_ROWS / MMA_ROWS; i++) {
      loadTransposed(a[i], left + swizzled(k + high + row, warpRow + i * MMA_ROWS + low));
    }
#pragma unroll
    for (int j = 0; j < WARP_COLUMNS / 16; j++) {
      loadTransposed(b[j], right + swizzled(k + low + row, warpColumn + j * 16 + high));
    }
#pragma unroll
    for (int i = 0; i < WARP_ROWS / MMA_ROWS; i++) {
#pragma unroll
      for (int j = 0; j < WARP_COLUMNS / MMA_COLUMNS; j++) {
        multiplyAdd(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
      }
    }
  }
}

// A number's parts; how many there are, less one.
__device__ __forceinline__ int split(float x, bf16 (&parts)[3]) {
  parts[0] = __float2bfloat16_rn(x);
  const float rounded = __bfloat162float(parts[0]);
  const float rest = isfinite(rounded) ? x - rounded : 0.0f;
  parts[1] = __float2bfloat16_rn(rest);
  const float last = rest - __bfloat162float(parts[1]);
  parts[2] = __float2bfloat16_rn(last);
  return last != 0 ? 2 : rest != 0 ? 1 : 0;
}

}  // namespace

extern "C" __global__ void __launch_bounds__(256)
    quench_split_f32(const f32* x, i64 stride, bf16* parts, i64 partStride, i64 rows, i32* more,
                     i64 tokens, i64 n) {
  const i64 column = globalThread() * 4;
  const bool aligned = quadsAligned(x, stride);
  int most = 0;
  if (column < n) {
    for (i64 row = blockIdx.y; row < rows; row += gridDim.y) {
      const i64 count = row < tokens ? n - column : 0;
      const Quad<f32> numbers = loadQuad(x + row * stride + column, count, aligned);
      Quad<bf16> quads[3];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        bf16 of[3];
        most = max(most, split(numbers.at[i], of));
        quads[0].at[i] = of[0], quads[1].at[i] = of[1], quads[2].at[i] = of[2];
      }
      bf16* to = parts + row * partStride + column;
      storeQuad<true>(to, 4, quads[0]);
      storeQuad<true>(to + rows * partStride, 4, quads[1]);
      storeQuad<true>(to + 2 * rows * partStride, 4, quads[2]);
    }
  }
  most = __reduce_max_sync(0xFFFFFFFF, most);
  if (threadIdx.x % 32 == 0 && most > 0) {
    atomicMax(more, most);
  }
}

extern "C" __global__ void __launch_bounds__(256)
    quench_split_bf16(const bf16* x, i64 stride, bf16* parts, i64 partStride, i64 rows, i32* more,
                      i64 tokens, i64 n) {
  const i64 column = globalThread() * 4;
  const bool aligned = quadsAligned(x, stride);
  if (column >= n) {
    return;
  }
  for (i64 row = blockIdx.y; row < rows; row += gridDim.y) {
    const i64 count = row < tokens ? n - column : 0;
    storeQuad<true>(parts + row * partStride + column, 4,
                    loadQuad(x + row * stride + column, count, aligned));
  }
}

extern "C" __global__ void __launch_bounds__(256, 2)
    quench_syrk_bf16(const bf16* parts, i64 partStride, i64 rows, const i32* more, i64 tokens, i64 n,
                     f32* h, i64 hStride) {
  extern __shared__ __align__(16) unsigned char shared[];
  const LowerTile tile = lowerTile<TILE>(blockIdx.x, n);
  if (!tile.valid) {
    return;
  }
  bf16* ring = reinterpret_cast<bf16*>(shared);
  const Source x = {parts, partStride, rows, tokens, n};
  const i64 row = static_cast<i64>(tile.band) * TILE;
  const i64 column = static_cast<i64>(tile.column) * TILE;
  const int warp = threadIdx.x / 32;
  const int warpRow = warp / 4 * WARP_ROWS;
  const int warpColumn = warp % 4 * WARP_COLUMNS;

  int product = firstProduct(more == nullptr ? 1 : *more + 1);
  i64 token = 0;
  const i64 steps = (PRODUCTS - product) * ((tokens + DEPTH - 1) / DEPTH);
  // Starts the copies of the next step; a group is committed even when there is none, so that
  // counting groups counts steps.
  auto copyNext = [&](i64 step) {
    if (step < steps) {
      bf16* stage = ring + step % STAGES * (2 * OPERAND);
      copyTile(stage, x, leftPart(product), token, row);
      copyTile(stage + OPERAND, x, rightPart(product), token, column);
      token += DEPTH;
      if (token >= tokens) {
        token = 0;
        product++;
      }
    }
    commitCopies();
  };

  Sums sums = {};
  for (int step = 0; step < STAGES - 1; step++) {
    copyNext(step);
  }
  for (i64 step = 0; step < steps; step++) {
    awaitCopies<STAGES - 2>();
    // Everybody's copies of this step have landed, and everybody has done the step before, whose
    // stage is copied to next.
    __syncthreads();
    copyNext(step + STAGES - 1);
    const bf16* stage = ring + step % STAGES * (2 * OPERAND);
    multiplyStage(sums, stage, stage + OPERAND, warpRow, warpColumn);
  }

  const int lane = threadIdx.x % 32;
  const bool paired = pairsAligned(h, hStride);
#pragma unroll
  for (int i = 0; i < WARP_ROWS / MMA_ROWS; i++) {
    const i64 r = row + warpRow + i * MMA_ROWS + lane / 4;
#pragma unroll
    for (int j = 0; j < WARP_COLUMNS / MMA_COLUMNS; j++) {
      const i64 c = column + warpColumn + j * MMA_COLUMNS + lane % 4 * 2;
      addPair(h, hStride, paired, n, r, c, sums[i][j][0], sums[i][j][1]);
      addPair(h, hStride, paired, n, r + 8, c, sums[i][j][2], sums[i][j][3]);
    }
  }
}
