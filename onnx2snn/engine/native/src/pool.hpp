// Lateral inhibition pooling of one plane (a channel of a sample): add, maximum and difference in one go.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "broadcast.hpp"
#include "vector.hpp"

namespace onnx2snn {

// Attributes of ONNX's MaxPool, of at most three spatial axes; those that are missing have one place.
struct Window {
  static constexpr size_t kAxes = 3;
  using Axes = std::array<int64_t, kAxes>;

  Axes kernel, strides, dilations, begins, ends;
  std::string auto_pad;
  bool ceil_mode;

  // Sizes up to which no sum or product of two of them overflows.
  static constexpr int64_t kMost = std::numeric_limits<int32_t>::max();

  // What onnxruntime's MaxPool refuses as well, or reads in a way of its own, is left to the body.
  void check() const {
    const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
    const bool padded = auto_pad == "NOTSET";
    if (!same && !padded && auto_pad != "VALID") throw std::invalid_argument("LIPool: an unknown auto_pad");
    if (same && ceil_mode) throw std::invalid_argument("LIPool: ceil_mode beside auto_pad");
    for (size_t i = 0; i < kAxes; ++i) {
      for (const int64_t size : {kernel[i], strides[i], dilations[i]}) {
        if (size < 1 || size > kMost) throw std::invalid_argument("LIPool: a kernel, stride or dilation out of range");
      }
      for (const int64_t pad : {begins[i], ends[i]}) {
        if (pad < 0 || pad >= kernel[i]) throw std::invalid_argument("LIPool: a pad that is not below its kernel");
        if (pad > 0 && !padded) throw std::invalid_argument("LIPool: pads beside auto_pad");
      }
      if (same && (dilations[i] > 1 || strides[i] > kernel[i])) {
        throw std::invalid_argument("LIPool: dilations, or strides over the kernel, beside auto_pad");
      }
    }
  }
};

// Where the windows lie on an input of a given size.
struct Geometry {
  Window::Axes size, outputs, begins;
  bool pairs;

  Geometry(const Window& window, const Window::Axes& input) : size(input) {
    for (size_t i = 0; i < Window::kAxes; ++i) {
      if (size[i] > Window::kMost) throw std::invalid_argument("LIPool: an input of such a size");
      const int64_t span = (window.kernel[i] - 1) * window.dilations[i] + 1;
      const int64_t stride = window.strides[i];
      int64_t begin = window.begins[i], end = window.ends[i];
      if (window.auto_pad == "SAME_UPPER" || window.auto_pad == "SAME_LOWER") {
        const int64_t wanted = (size[i] + stride - 1) / stride;
        // As onnxruntime has it: the dilation left out, and below zero where strides pass over the end.
        const int64_t total = (wanted - 1) * stride + window.kernel[i] - size[i];
        begin = (window.auto_pad == "SAME_UPPER" ? total : total + 1) / 2;
        end = total - begin;
      }
      const int64_t room = size[i] + begin + end - span;
      if (room < 0) throw std::invalid_argument("LIPool: the window is larger than the padded input");
      outputs[i] = room / stride + 1;
      // With ceil_mode one more window may reach beyond the padding, if it starts on the input or before it.
      if (window.ceil_mode && room % stride != 0 && outputs[i] * stride < size[i] + begin) ++outputs[i];
      begins[i] = begin;
    }
    pairs = size[0] == 1 && window.kernel == Window::Axes{1, 2, 2} && window.strides == Window::Axes{1, 2, 2} &&
            window.dilations == Window::Axes{1, 1, 1} && begins == Window::Axes{0, 0, 0} &&
            2 * outputs[1] <= size[1] && 2 * outputs[2] <= size[2];
  }
};

// The places that a window covers along one axis of the input: every step-th of [first, last).
struct Places {
  int64_t first, last, step;

  Places(const Window& window, const Geometry& at, size_t axis, int64_t output)
      : first(output * window.strides[axis] - at.begins[axis]), step(window.dilations[axis]) {
    last = std::min(first + (window.kernel[axis] - 1) * step + 1, at.size[axis]);
    if (first < 0) first += (-first + step - 1) / step * step;
  }
};

// One plane: next_total = input + total, the maxima of its windows, and how much these have grown. Every place holds
// `block` channels side by side, one where the layout is the plain one.
VECTORISED static void li_pool_plane(const Window& window, const Geometry& at, int64_t block, Operand input,
                                     Operand total, Operand pooled, float* output, float* next_total,
                                     float* next_pooled) {
  const auto [depth, height, width] = at.size;
  const int64_t area = depth * height * width * block;
  const int64_t places = at.outputs[0] * at.outputs[1] * at.outputs[2] * block;
  with(input, [&](auto x) INLINED_LAMBDA {
    with(total, [&](auto before) INLINED_LAMBDA {
      ELEMENTWISE
      for (int64_t i = 0; i < area; ++i) next_total[i] = x[i] + before[i];
    });
  });
  constexpr float lowest = std::numeric_limits<float>::lowest();  // of a window of nothing but padding
  float* best = next_pooled;
  for (int64_t d = 0; d < at.outputs[0]; ++d) {
    const Places deep(window, at, 0, d);
    for (int64_t h = 0; h < at.outputs[1]; ++h) {
      const Places high(window, at, 1, h);
      for (int64_t w = 0; w < at.outputs[2]; ++w, best += block) {
        const Places wide(window, at, 2, w);
        for (int64_t c = 0; c < block; ++c) best[c] = lowest;
        for (int64_t i = deep.first; i < deep.last; i += deep.step) {
          for (int64_t j = high.first; j < high.last; j += high.step) {
            for (int64_t k = wide.first; k < wide.last; k += wide.step) {
              const float* place = next_total + ((i * height + j) * width + k) * block;
              ELEMENTWISE
              for (int64_t c = 0; c < block; ++c) best[c] = place[c] > best[c] ? place[c] : best[c];
            }
          }
        }
      }
    }
  }
  with(pooled, [&](auto before) INLINED_LAMBDA {
    ELEMENTWISE
    for (int64_t i = 0; i < places; ++i) output[i] = next_pooled[i] - before[i];
  });
}

// The same for windows of two by two beside each other, by far the most, in the plain layout.
VECTORISED static void li_pool_pairs(const Geometry& at, Operand input, Operand total, Operand pooled, float* output,
                                     float* next_total, float* next_pooled) {
  const int64_t height = at.outputs[1], width = at.outputs[2], line = at.size[2], area = at.size[1] * line;
  with(input, [&](auto x) INLINED_LAMBDA {
    with(total, [&](auto before) INLINED_LAMBDA {
      ELEMENTWISE
      for (int64_t i = 0; i < area; ++i) next_total[i] = x[i] + before[i];
    });
  });
  with(pooled, [&](auto before) INLINED_LAMBDA {
    for (int64_t h = 0; h < height; ++h) {
      const float* upper = next_total + 2 * h * line;
      const float* lower = upper + line;
      ELEMENTWISE
      for (int64_t w = 0; w < width; ++w) {
        const float left = lower[2 * w] > upper[2 * w] ? lower[2 * w] : upper[2 * w];
        const float right = lower[2 * w + 1] > upper[2 * w + 1] ? lower[2 * w + 1] : upper[2 * w + 1];
        const float best = right > left ? right : left;
        output[h * width + w] = best - before[h * width + w];
        next_pooled[h * width + w] = best;
      }
    }
  });
}

}  // namespace onnx2snn
