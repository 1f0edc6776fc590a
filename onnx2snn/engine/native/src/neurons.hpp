// The neurons along one row of elements, operation for operation as in their function bodies (onnx2snn/ops/).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "vector.hpp"

namespace onnx2snn {

// The current of a neuron behind a residual sum: input + shortcut·factor, rounded twice as by Mul and Add.
struct Residual {
  Operand shortcut, factor;
};

// Call use(…) with what gives the current of each element.
template <typename Use>
INLINED void with_current(Operand current, const Residual* residual, Use use) {
  if (residual == nullptr) {
    with(current, [&](auto input) INLINED_LAMBDA { use(input); });
  } else {
    with(residual->factor, [&](auto factor) INLINED_LAMBDA {
      struct Sum {
        Moving input, shortcut;
        decltype(factor) scale;
        INLINED float operator[](int64_t i) const { return input[i] + shortcut[i] * scale[i]; }
      };
      use(Sum{{current.data}, {residual->shortcut.data}, factor});
    });
  }
}

// The same for the target of a graded neuron, which may be the Relu of that.
template <typename Use>
INLINED void with_target(Operand current, const Residual* residual, bool rectified, Use use) {
  with_current(current, residual, [&](auto input) INLINED_LAMBDA {
    if (rectified) {
      struct Rectified {
        decltype(input) own;
        INLINED float operator[](int64_t i) const { return relu(own[i]); }
      };
      use(Rectified{input});
    } else {
      use(input);
    }
  });
}

VECTORISED static void burst_if(Operand current, const Residual* residual, Operand potential, Operand threshold,
                                float limit, int64_t count, float* output, float* next_potential) {
  with_current(current, residual, [&](auto input) INLINED_LAMBDA {
    with(potential, [&](auto before) INLINED_LAMBDA {
      with_factor(threshold, [&](auto theta) INLINED_LAMBDA {
        ELEMENTWISE
        for (int64_t i = 0; i < count; ++i) {
          const float charged = input[i] + before[i];
          const float sent = clip(std::floor(charged / theta[i]), 0.0f, limit) * theta[i];
          output[i] = sent;
          next_potential[i] = charged - sent;
        }
      });
    });
  });
}

VECTORISED static void signed_burst_if(Operand current, const Residual* residual, Operand potential, Operand sent,
                                       Operand threshold, float limit, int64_t count, float* output,
                                       float* next_potential, float* next_sent) {
  with_current(current, residual, [&](auto input) INLINED_LAMBDA {
    with(potential, [&](auto before) INLINED_LAMBDA {
      with(sent, [&](auto total) INLINED_LAMBDA {
        with_factor(threshold, [&](auto theta) INLINED_LAMBDA {
          ELEMENTWISE
          for (int64_t i = 0; i < count; ++i) {
            const float charged = input[i] + before[i];
            const float wanted = clip(std::floor(charged / theta[i]), -limit, limit);
            const float now = relu(wanted + total[i]);
            const float value = (now - total[i]) * theta[i];
            output[i] = value;
            next_potential[i] = charged - value;
            next_sent[i] = now;
          }
        });
      });
    });
  });
}

VECTORISED static void accumulate_fire(Operand current, const Residual* residual, Operand threshold, float potential,
                                       float levels, int64_t count, float* output) {
  with_current(current, residual, [&](auto input) INLINED_LAMBDA {
    with_factor(threshold, [&](auto theta) INLINED_LAMBDA {
      ELEMENTWISE
      for (int64_t i = 0; i < count; ++i) {
        output[i] = std::floor(clip(input[i] / theta[i] + potential, 0.0f, levels)) * theta[i];
      }
    });
  });
}

// What a ratio is taken of; a range of zero is a dead channel's.
INLINED float divisor(float range) { return range == 0.0f ? 1.0f : range; }

// The power of two nearest to a ratio, at most 1: from 1½·2^j on, half a mantissa more carries into the exponent.
// 0 in the dead zone; NaN stays.
INLINED float nearest_power(float ratio, float dead_zone) {
  const float bounded = clip(ratio, -1.0f, 1.0f);
  uint32_t bits;
  std::memcpy(&bits, &bounded, sizeof bits);
  bits = (bits + 0x00400000u) & 0xff800000u;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return std::fabs(bounded) > dead_zone ? power : 0.0f * bounded;
}

VECTORISED static void graded_if(Operand current, const Residual* residual, bool rectified, Operand sent,
                                 Operand range, float dead_zone, int64_t count, float* output, float* next_sent) {
  with_target(current, residual, rectified, [&](auto target) INLINED_LAMBDA {
    with(sent, [&](auto before) INLINED_LAMBDA {
      with(range, [&](auto reach) INLINED_LAMBDA {
        ELEMENTWISE
        for (int64_t i = 0; i < count; ++i) {
          const float ratio = (target[i] - before[i]) / divisor(reach[i]);
          const float word = before[i] + nearest_power(ratio, dead_zone) * reach[i];
          output[i] = word;
          next_sent[i] = word;
        }
      });
    });
  });
}

// As many elements at a time as stay in the innermost cache from digit to digit.
VECTORISED static void graded_fire(Operand current, const Residual* residual, bool rectified, Operand range,
                                   float dead_zone, int64_t timesteps, int64_t count, float* output) {
  constexpr int64_t kChunk = 512;
  float ratio[kChunk], total[kChunk];
  with_target(current, residual, rectified, [&](auto target) INLINED_LAMBDA {
    with(range, [&](auto reach) INLINED_LAMBDA {
      for (int64_t at = 0; at < count; at += kChunk) {
        const int64_t part = std::min(kChunk, count - at);
        ELEMENTWISE
        for (int64_t i = 0; i < part; ++i) {
          ratio[i] = target[at + i] / divisor(reach[at + i]);
          total[i] = 0.0f;
        }
        for (int64_t t = 0; t < timesteps; ++t) {
          ELEMENTWISE
          for (int64_t i = 0; i < part; ++i) {
            const float power = nearest_power(ratio[i], dead_zone);
            total[i] += power;
            ratio[i] -= power;
          }
        }
        ELEMENTWISE
        for (int64_t i = 0; i < part; ++i) output[at + i] = total[i] * reach[at + i];
      }
    });
  });
}

}  // namespace onnx2snn
