// Copies, casts and reorderings. All are exact.
//
// A matrix is (address of element (0, 0), elements between two rows). Alignment: that of an
// element; where the address and the stride of an operand allow it, its elements are read or
// written four at a time (16 bytes of f32, 8 of f16 and bf16, 4 of i8). Nothing outside a view is
// touched. Kernels _b8, _b16, _b32 and _b64 move units of so many bits as they are, so a caller may
// move several small elements as one unit.
//
// quench_convert_<from>_<to>, quench_copy_<unit>: target = source.
//   Grid, block: as overQuads says (elements.cuh), 4 quads a thread. 256 threads, no shared memory.
// quench_gather_rows_<from>_<to>, quench_gather_rows_<unit>: target[r, :] = source[index[r], :].
//   The same grid. An index outside [0, sourceRows) traps.
// quench_transpose_<from>_<to>, quench_transpose_<unit>: target = source transposed.
//   Rows and columns are the source's. A block of 256 threads for each square of 64 x 64, numbered
//   row by row of the source's squares; at most 33 KiB of static shared memory.
// quench_gather_symmetric_f32: target[i, j] = H[max(a, b), min(a, b)] for i <= j, a = index[i],
//   b = index[j]; the lower triangle of the target may be written. The grid of a convert of
//   n x n. An index outside [0, n) traps.
// quench_diagonal_f32, quench_set_diagonal_f32: one thread an element of the diagonal; 256 threads.
#include "elements.cuh"

namespace quench {

template <class S, class T>
__device__ inline Quad<T> castQuad(const Quad<S>& from) {
  Quad<T> to;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    to.at[i] = cast<T>(from.at[i]);
  }
  return to;
}

template <class S, class T>
struct Convert {
  using Packet = Quad<S>;
  const S* source;
  i64 sourceStride;
  T* target;
  i64 targetStride;

  __device__ bool aligned() const {
    return quadsAligned(source, sourceStride) && quadsAligned(target, targetStride);
  }

  template <bool kWhole>
  __device__ Packet load(i64 row, i64 column, i64 count) const {
    return loadQuad<kWhole>(source + row * sourceStride + column, count);
  }

  template <bool kWhole>
  __device__ void store(i64 row, i64 column, i64 count, const Packet& packet) const {
    storeQuad<kWhole>(target + row * targetStride + column, count, castQuad<S, T>(packet));
  }
};

template <class S, class T>
struct GatherRows {
  using Packet = Quad<S>;
  Convert<S, T> rows;
  i64 sourceRows;
  const i32* index;

  __device__ bool aligned() const { return rows.aligned(); }

  template <bool kWhole>
  __device__ Packet load(i64 row, i64 column, i64 count) const {
    const i64 from = index[row];
    if (from < 0 || from >= sourceRows) {
      __trap();
    }
    return rows.template load<kWhole>(from, column, count);
  }

  template <bool kWhole>
  __device__ void store(i64 row, i64 column, i64 count, const Packet& packet) const {
    rows.template store<kWhole>(row, column, count, packet);
  }
};

constexpr int kSide = 64;

// Through shared memory, so that both matrices are touched along their rows. A row of the square is
// an odd number of words long: what a warp reads down a column lies in banks two lanes share at
// most.
template <class S, class T>
__device__ inline void transpose(
    const S* source, i64 sourceStride, T* target, i64 targetStride, i64 rows,
    i64 columns) {
  constexpr int kPad = sizeof(T) >= 4 ? 1 : 4 / sizeof(T);
  __shared__ T square[kSide][kSide + kPad];
  constexpr int kQuads = kSide / 4;
  const bool sourceAligned = quadsAligned(source, sourceStride);
  const bool targetAligned = quadsAligned(target, targetStride);
  const i64 across = (columns + kSide - 1) / kSide;
  const i64 row0 = i64(blockIdx.x) / across * kSide;
  const i64 column0 = i64(blockIdx.x) % across * kSide;
  const int quad = threadIdx.x % kQuads * 4;
  const int first = threadIdx.x / kQuads;
  const int step = blockDim.x / kQuads;
#pragma unroll 4
  for (int r = first; r < kSide; r += step) {
    const i64 count = columns - column0 - quad;
    if (row0 + r < rows && count > 0) {
      const S* from = source + (row0 + r) * sourceStride + column0 + quad;
      const Quad<T> values = castQuad<S, T>(loadQuad(from, count, sourceAligned));
#pragma unroll
      for (int i = 0; i < 4; i++) {
        square[r][quad + i] = values.at[i];
      }
    }
  }
  __syncthreads();
#pragma unroll 4
  for (int c = first; c < kSide; c += step) {
    const i64 count = rows - row0 - quad;
    if (column0 + c < columns && count > 0) {
      Quad<T> values;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        values.at[i] = square[quad + i][c];
      }
      storeQuad(target + (column0 + c) * targetStride + row0 + quad, count, targetAligned, values);
    }
  }
}

struct GatherSymmetric {
  using Packet = Quad<float>;
  const float* lower;
  i64 stride;
  const i32* index;
  i64 n;
  float* target;
  i64 targetStride;

  __device__ bool aligned() const { return quadsAligned(target, targetStride); }

  __device__ i64 indexAt(i64 i) const {
    const i64 at = index[i];
    if (at < 0 || at >= n) {
      __trap();
    }
    return at;
  }

  // A quad that crosses the diagonal is filled on both sides of it; those below are left.
  template <bool kWhole>
  __device__ Packet load(i64 row, i64 column, i64 count) const {
    Packet packet = {};
    if (column + 3 >= row) {
      const i64 a = indexAt(row);
#pragma unroll
      for (int i = 0; i < 4; i++) {
        if (kWhole || i < count) {
          const i64 b = indexAt(column + i);
          packet.at[i] = lower[max(a, b) * stride + min(a, b)];
        }
      }
    }
    return packet;
  }

  template <bool kWhole>
  __device__ void store(i64 row, i64 column, i64 count, const Packet& packet) const {
    if (column + 3 >= row) {
      storeQuad<kWhole>(target + row * targetStride + column, count, packet);
    }
  }
};

#define QUENCH_KERNEL extern "C" __global__ void __launch_bounds__(256)

#define QUENCH_CONVERT(name, S, T)                                                            \
  QUENCH_KERNEL name(                                                                         \
      const S* source, i64 sourceStride, T* target, i64 targetStride, i64 rows, i64 columns,  \
      i32 widthBits) {                                                                        \
    const Convert<S, T> body{source, sourceStride, target, targetStride};                     \
    overQuads<4>(rows, columns, widthBits, body);                                             \
  }

#define QUENCH_GATHER_ROWS(name, S, T)                                                        \
  QUENCH_KERNEL name(                                                                         \
      const S* source, i64 sourceStride, i64 sourceRows, const i32* index, T* target,         \
      i64 targetStride, i64 rows, i64 columns, i32 widthBits) {                               \
    const Convert<S, T> convert{source, sourceStride, target, targetStride};                  \
    const GatherRows<S, T> body{convert, sourceRows, index};                                  \
    overQuads<4>(rows, columns, widthBits, body);                                             \
  }

#define QUENCH_TRANSPOSE(name, S, T)                                                          \
  QUENCH_KERNEL name(                                                                         \
      const S* source, i64 sourceStride, T* target, i64 targetStride, i64 rows,               \
      i64 columns) {                                                                          \
    transpose<S, T>(source, sourceStride, target, targetStride, rows, columns);               \
  }

#define QUENCH_CAST(S, T)                                                                     \
  QUENCH_CONVERT(quench_convert_##S##_##T, S, T)                                              \
  QUENCH_GATHER_ROWS(quench_gather_rows_##S##_##T, S, T)                                      \
  QUENCH_TRANSPOSE(quench_transpose_##S##_##T, S, T)

#define QUENCH_COPY(bits)                                                                     \
  QUENCH_CONVERT(quench_copy_b##bits, uint##bits##_t, uint##bits##_t)                         \
  QUENCH_GATHER_ROWS(quench_gather_rows_b##bits, uint##bits##_t, uint##bits##_t)              \
  QUENCH_TRANSPOSE(quench_transpose_b##bits, uint##bits##_t, uint##bits##_t)

QUENCH_CAST(f32, f16)
QUENCH_CAST(f32, bf16)
QUENCH_CAST(f16, f32)
QUENCH_CAST(f16, bf16)
QUENCH_CAST(bf16, f32)
QUENCH_CAST(bf16, f16)
QUENCH_CAST(i8, f32)
QUENCH_COPY(8)
QUENCH_COPY(16)
QUENCH_COPY(32)
QUENCH_TRANSPOSE(quench_transpose_b64, uint64_t, uint64_t)

QUENCH_KERNEL quench_gather_symmetric_f32(
    const float* lower, i64 stride, const i32* index, i64 n, float* target, i64 targetStride,
    i32 widthBits) {
  const GatherSymmetric body{lower, stride, index, n, target, targetStride};
  overQuads<4>(n, n, widthBits, body);
}

QUENCH_KERNEL quench_diagonal_f32(const float* matrix, i64 stride, float* values, i64 n) {
  const i64 i = globalThread();
  if (i < n) {
    values[i] = matrix[i * stride + i];
  }
}

QUENCH_KERNEL quench_set_diagonal_f32(const float* values, float* matrix, i64 stride, i64 n) {
  const i64 i = globalThread();
  if (i < n) {
    matrix[i * stride + i] = values[i];
  }
}

}  // namespace quench
