// Lateral inhibition pooling of one plane (a channel of a sample): add, maximum and difference in one go.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "vector.hpp"

namespace onnx2snn {

// Attributes of ONNX's MaxPool, of at most three spatial axes; those that are missing have one place.
struct Window {
  static constexpr size_t kAxes = 3;
  using Axes = std::array<int64_t, kAxes>;

  Axes kernel, strides, dilations, begins, ends;
  std::string auto_pad;
  bool ceil_mode;
};

// Where the windows lie on an input of a given size.
struct Geometry {
  Window::Axes size, outputs, begins;

  Geometry(const Window& window, const Window::Axes& input) : size(input) {
    for (size_t i = 0; i < Window::kAxes; ++i) {
      const int64_t span = (window.kernel[i] - 1) * window.dilations[i] + 1;
      const int64_t stride = window.strides[i];
      int64_t begin = window.begins[i], end = window.ends[i];
      if (window.auto_pad == "SAME_UPPER" || window.auto_pad == "SAME_LOWER") {
        const int64_t wanted = (size[i] + stride - 1) / stride;
        const int64_t total = std::max<int64_t>(0, (wanted - 1) * stride + span - size[i]);
        begin = window.auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
        end = total - begin;
      }
      const int64_t room = size[i] + begin + end - span;
      if (room < 0) throw std::invalid_argument("LIPool: the window is larger than the padded input");
      outputs[i] = room / stride + 1;
      // With ceil_mode one more window may reach beyond the padding, if it starts on the input or before it.
      if (window.ceil_mode && room % stride != 0 && outputs[i] * stride < size[i] + begin) ++outputs[i];
      begins[i] = begin;
    }
  }
};

// next_total = input + total, and the maxima of its windows.
//
// `row` is scratch memory for one row of the input.
VECTORISED static void li_pool_plane(const Window& window, const Geometry& at, Operand input, Operand total,
                                     Operand pooled, float* row, float* output, float* next_total,
                                     float* next_pooled) {
  const auto [depth, height, width] = at.size;
  const int64_t area = height * width, stride = window.strides[2], dilation = window.dilations[2];
  with(input, [&](auto x) INLINED_LAMBDA {
    with(total, [&](auto before) INLINED_LAMBDA {
      ELEMENTWISE
      for (int64_t i = 0; i < depth * area; ++i) next_total[i] = x[i] + before[i];
    });
  });
  // By far the most pools: two by two, nothing beyond the border.
  const bool pairs = window.kernel[2] == 2 && stride == 2 && dilation == 1 && at.begins[2] == 0 &&
                     2 * at.outputs[2] <= width;
  constexpr float lowest = std::numeric_limits<float>::lowest();  // of a window of nothing but padding
  float* result = next_pooled;
  for (int64_t d = 0; d < at.outputs[0]; ++d) {
    for (int64_t h = 0; h < at.outputs[1]; ++h, result += at.outputs[2]) {
      // The maximum over the window's rows, for the whole width at once; then along the width.
      std::fill(row, row + width, lowest);
      for (int64_t i = 0; i < window.kernel[0]; ++i) {
        const int64_t plane = d * window.strides[0] - at.begins[0] + i * window.dilations[0];
        if (plane < 0 || plane >= depth) continue;
        for (int64_t j = 0; j < window.kernel[1]; ++j) {
          const int64_t line = h * window.strides[1] - at.begins[1] + j * window.dilations[1];
          if (line < 0 || line >= height) continue;
          const float* source = next_total + plane * area + line * width;
          ELEMENTWISE
          for (int64_t w = 0; w < width; ++w) row[w] = source[w] > row[w] ? source[w] : row[w];
        }
      }
      if (pairs) {
        ELEMENTWISE
        for (int64_t w = 0; w < at.outputs[2]; ++w) {
          result[w] = row[2 * w + 1] > row[2 * w] ? row[2 * w + 1] : row[2 * w];
        }
        continue;
      }
      for (int64_t w = 0; w < at.outputs[2]; ++w) {
        const int64_t first = w * stride - at.begins[2];
        float best = lowest;
        for (int64_t k = 0; k < window.kernel[2]; ++k) {
          const int64_t place = first + k * dilation;
          if (place >= 0 && place < width) best = row[place] > best ? row[place] : best;
        }
        result[w] = best;
      }
    }
  }
  const int64_t outputs = at.outputs[0] * at.outputs[1] * at.outputs[2];
  with(pooled, [&](auto before) INLINED_LAMBDA {
    ELEMENTWISE
    for (int64_t i = 0; i < outputs; ++i) output[i] = next_pooled[i] - before[i];
  });
}

}  // namespace onnx2snn
