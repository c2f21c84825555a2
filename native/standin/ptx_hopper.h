// wgmma: matrix products of a warpgroup, with B and mostly A in shared memory.
//
// An instruction computes at once. That its operands stay as they are until the group is waited for is checked then:
// memory that was overwritten in between ends the launch, and so does a group that nobody waits for.
#pragma once

#include "ptx_async.h"
#include "ptx_matrix.h"

namespace standin::ptx {

// A matrix in shared memory as its descriptor tells (PTX ISA, "Matrix Descriptor Format"): rows of A, columns of B,
// by k. Without `transposed`, elements along k are contiguous.
class MatrixDescriptor {
 public:
  MatrixDescriptor(u64 descriptor, bool transposed, const SharedMemory& shared)
      : shared_(shared),
        start_(u32(descriptor & 0x3FFF) << 4),
        leading_(u32(descriptor >> 16 & 0x3FFF) << 4),
        stride_(u32(descriptor >> 32 & 0x3FFF) << 4),
        swizzle_(swizzle_mode(u32(descriptor >> 62))),
        transposed_(transposed) {
    if ((descriptor >> 49 & 7) != 0) {
      fail("wgmma: a matrix descriptor with a base offset");
    }
  }

  // Offset in shared memory of the element at `row` and `k`.
  template <class Element>
  u32 offset(u32 row, u32 k) const {
    constexpr u32 bytes = kElementBits<Element> / 8;
    const u32 span = 16u << swizzle_;  // bytes of a row of the pattern
    u32 place;
    if (!transposed_) {
      const u32 byte = k * bytes;
      // Without swizzle the pattern is 8 rows of 16 bytes, and the next 16 bytes along k are `leading` away.
      place = row / 8 * stride_ + row % 8 * span + (swizzle_ == 0 ? byte / 16 * leading_ + byte % 16 : byte);
    } else if (swizzle_ == 0) {
      place = row / 8 * stride_ + row % 8 * bytes + k / 8 * leading_ + k % 8 * 16;
    } else {
      const u32 rows = span / bytes;
      place = row / rows * leading_ + row % rows * bytes + k / 8 * stride_ + k % 8 * span;
    }
    return u32(swizzled(start_ + place, swizzle_));
  }

  template <class Element>
  auto element(u32 row, u32 k) const {
    using Bits = typename Element::Bits;
    return Element::value(load<Bits>(shared_.at(offset<Element>(row, k), sizeof(Bits))));
  }

  // Notes every 16 bytes that an instruction reads.
  template <class Element>
  void note_reads(u32 rows, u32 depth) const {
    for (u32 row = 0; row < rows; row++) {
      for (u32 k = 0; k < depth; k++) {
        const u32 place = offset<Element>(row, k);
        if (place % 16 == 0) {
          read_issue(pointer(shared_.at(place, 16)), 16);
        }
      }
    }
  }

 private:
  // The descriptor counts 0 none, 1: 128 bytes, 2: 64 bytes, 3: 32 bytes; tensor maps the other way round.
  static u32 swizzle_mode(u32 code) { return code == 0 ? 0 : 4 - code; }

  const SharedMemory& shared_;
  u32 start_, leading_, stride_, swizzle_;
  bool transposed_;
};

struct FragmentA {
  const u32 (&registers)[4];
};

struct WgmmaScales {
  s32 a, b;  // 1 or −1
  bool saturates;
};

// The two rows of A that a thread's results need: values[half][k].
template <class A, u32 Depth>
struct RowsOfA {
  decltype(A::value(0)) values[2][Depth];

  explicit RowsOfA(const MatrixDescriptor& matrix) {
    const u32 row = cur->linear / 32 % 4 * 16 + cur->lane / 4;
    for (u32 half = 0; half < 2; half++) {
      for (u32 k = 0; k < Depth; k++) {
        values[half][k] = matrix.element<A>(row + 8 * half, k);
      }
    }
  }

  // Registers are laid out as A of mma is.
  explicit RowsOfA(const FragmentA& fragment) {
    Payload mine{};
    memcpy(mine.w, fragment.registers, sizeof fragment.registers);
    const Payload* warp = collective(~0u, kMultiply, mine);
    constexpr u32 e = kPerRegister<A>;
    for (u32 half = 0; half < 2; half++) {
      for (u32 k = 0; k < Depth; k++) {
        values[half][k] = element<A>(warp[cur->lane / 4 * 4 + k / e % 4].w[half + 2 * (k / e / 4)], k % e);
      }
    }
  }
};

template <class A, u32 Depth>
inline void note_reads_of_a(const MatrixDescriptor& matrix) {
  matrix.note_reads<A>(64, Depth);
}
template <class A, u32 Depth>
inline void note_reads_of_a(const FragmentA&) {}

// wgmma.fence: orders what a thread did to registers before its products. It must stand before the first of them; of
// the later ones a thread needs it before only if it wrote to their registers, which isn't looked at here.
inline void wgmma_fence() { async().registersFenced = true; }

// wgmma.mma_async m64nColumns: d = a · b, plus d if `accumulates`.
template <u32 Columns, class Accumulator, class A, class B, class MatrixA, size_t Count>
inline void wgmma(u32 (&d)[Count], const MatrixA& a, const MatrixDescriptor& b, bool accumulates,
                  WgmmaScales scales) {
  constexpr u32 depth = 256 / kElementBits<A>;
  if (!async().registersFenced) {
    fail("wgmma: no wgmma.fence before the first product");
  }
  if (cur->linear % 128 == 0) {
    note_reads_of_a<A, depth>(a);
    b.note_reads<B>(Columns, depth);
  }
  const RowsOfA<A, depth> rows(a);
  const s32 sign = scales.a * scales.b;
  for (u32 block = 0; block < Columns / 8; block++) {
    for (u32 i = 0; i < 2; i++) {
      const u32 column = 8 * block + 2 * (cur->lane % 4) + i;
      decltype(B::value(0)) values[depth];
      for (u32 k = 0; k < depth; k++) {
        values[k] = b.element<B>(column, k);
      }
      for (u32 half = 0; half < 2; half++) {
        const u32 index = 4 * block + 2 * half + i;
        typename Accumulator::Sum sum = accumulates ? Accumulator::get(d, index) : 0;
        for (u32 k = 0; k < depth; k++) {
          sum = Accumulator::add(sum, sign * rows.values[half][k], values[k]);
        }
        Accumulator::set(d, index, sum, scales.saturates);
      }
    }
  }
}

inline void wgmma_commit_group() {
  if (cur->linear % 128 == 0) {
    read_commit_group();
  }
}

// No thread's products are done before all threads of the warpgroup have asked for them: kernels let one thread tell
// that the operands may be overwritten.
inline void wgmma_wait_group(size_t pending) {
  warpgroupMeet();
  if (cur->linear % 128 == 0) {
    read_wait_group(pending);
  }
}

// A thread must not end with products that it hasn't waited for.
inline void wgmma_end() {
  if (cur->async != nullptr && !cur->async->reads.empty()) {
    fail("wgmma: the kernel ends without having waited for its products");
  }
}

}  // namespace standin::ptx
