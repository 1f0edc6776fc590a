// The neurons along one row of elements, operation for operation as in their function bodies (onnx2snn/ops/).
#pragma once

#include <cmath>

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

}  // namespace onnx2snn
