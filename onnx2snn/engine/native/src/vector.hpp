// What lets a compiler turn the loops of the kernels into vector instructions.
#pragma once

#include <cstdint>

// Where compiler and loader can (see CMakeLists.txt), there are versions of such a function for AVX-512, AVX2 and any
// x86-64 processor, and the loader picks one.
#if defined(ONNX2SNN_CLONES)
#define VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VECTORISED
#endif

// Has to become part of every version of its caller. ELEMENTWISE promises that no iteration of the loop behind it
// depends on another one: outputs may lie on inputs, but element on element.
#if defined(_MSC_VER)
#define INLINED __forceinline
#define INLINED_LAMBDA
#define ELEMENTWISE __pragma(loop(ivdep))
#elif defined(__clang__)
#define INLINED inline __attribute__((always_inline))
#define INLINED_LAMBDA __attribute__((always_inline))
#define ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")
#else
#define INLINED inline __attribute__((always_inline))
#define INLINED_LAMBDA __attribute__((always_inline))
#define ELEMENTWISE _Pragma("GCC ivdep")
#endif

namespace onnx2snn {

// One input of an elementwise operator along a row: it moves on with the elements, or one value holds for all.
struct Operand {
  const float* data;
  bool moves;
};

struct Moving {
  const float* data;
  INLINED float operator[](int64_t i) const { return data[i]; }
};

struct Staying {
  float value;
  INLINED float operator[](int64_t) const { return value; }
};

struct One {
  INLINED float operator[](int64_t) const { return 1.0f; }
};

// Call use(…) with the operand as the type that makes the fastest loop.
template <typename Use>
INLINED void with(Operand operand, Use use) {
  if (operand.moves) {
    use(Moving{operand.data});
  } else {
    use(Staying{*operand.data});
  }
}

// The same for a factor or divisor, which is often 1: then no instruction is left of it.
template <typename Use>
INLINED void with_factor(Operand operand, Use use) {
  if (!operand.moves && *operand.data == 1.0f) {
    use(One{});
  } else {
    with(operand, use);
  }
}

// ONNX's Clip and Relu as onnxruntime computes them: NaN stays NaN.
INLINED float clip(float value, float low, float high) {
  value = value < low ? low : value;
  return value > high ? high : value;
}

INLINED float relu(float value) { return value < 0.0f ? 0.0f : value; }

}  // namespace onnx2snn
