// Tensors of different shapes as runs of elements: ONNX's (NumPy's) multidirectional broadcasting.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

namespace onnx2snn {

using Shape = std::vector<int64_t>;

// The product of sizes of at least zero. Of an empty tensor it is zero, however large the others are.
template <typename Sizes>
int64_t product(const Sizes& sizes) {
  int64_t result = 1;
  for (const int64_t size : sizes) {
    if (size == 0) return 0;
  }
  for (const int64_t size : sizes) {
    if (size < 0 || result > std::numeric_limits<int64_t>::max() / size) {
      throw std::invalid_argument("more elements than can be counted");
    }
    result *= size;
  }
  return result;
}

// `Count` shapes broadcast against each other. The elements of the result lie in rows; along a row every tensor
// either moves on by one with each element (step 1) or stays where it is (step 0).
template <size_t Count>
class Broadcast {
 public:
  using Offsets = std::array<int64_t, Count>;

  explicit Broadcast(const std::array<Shape, Count>& shapes) {
    size_t rank = 0;
    for (const Shape& shape : shapes) rank = std::max(rank, shape.size());
    shape_.assign(rank, 1);
    for (const Shape& shape : shapes) {
      for (size_t i = 0; i < shape.size(); ++i) {
        int64_t& found = shape_[rank - shape.size() + i];
        if (found != 1 && shape[i] != 1 && found != shape[i]) {
          throw std::invalid_argument("inputs of these shapes do not broadcast");
        }
        if (found == 1) found = shape[i];
      }
    }
    size_ = product(shape_);
    if (size_ > 0) collapse(shapes);
    length_ = axes_.empty() ? 1 : axes_.back().length;
  }

  const Shape& shape() const { return shape_; }
  int64_t size() const { return size_; }

  // What every tensor does along a row.
  Offsets steps() const { return axes_.empty() ? Offsets{} : axes_.back().strides; }

  // Call run(offsets of the tensors, offset in the result, number of elements) for all rows of [begin, end).
  template <typename Run>
  void each_row(int64_t begin, int64_t end, Run run) const {
    while (begin < end) {
      const int64_t within = begin % length_;
      const int64_t count = std::min(length_ - within, end - begin);
      run(offsets(begin / length_, within), begin, count);
      begin += count;
    }
  }

 private:
  struct Axis {
    int64_t length;
    Offsets strides;
  };

  // Neighbouring axes along which all tensors go on in the same way become one.
  void collapse(const std::array<Shape, Count>& shapes) {
    Offsets sizes;
    sizes.fill(1);
    std::vector<Axis> reversed;
    for (size_t back = 1; back <= shape_.size(); ++back) {
      Axis axis{shape_[shape_.size() - back], {}};
      for (size_t tensor = 0; tensor < Count; ++tensor) {
        const Shape& own = shapes[tensor];
        const int64_t length = back <= own.size() ? own[own.size() - back] : 1;
        axis.strides[tensor] = length == 1 ? 0 : sizes[tensor];
        sizes[tensor] *= length;
      }
      if (axis.length == 1) continue;
      if (!reversed.empty() && continues(reversed.back(), axis)) {
        reversed.back().length *= axis.length;
      } else {
        reversed.push_back(axis);
      }
    }
    axes_.assign(reversed.rbegin(), reversed.rend());
  }

  static bool continues(const Axis& inner, const Axis& outer) {
    for (size_t tensor = 0; tensor < Count; ++tensor) {
      if (outer.strides[tensor] != inner.strides[tensor] * inner.length) return false;
    }
    return true;
  }

  Offsets offsets(int64_t row, int64_t within) const {
    Offsets result{};
    for (size_t tensor = 0; tensor < Count; ++tensor) result[tensor] = within * steps()[tensor];
    for (size_t i = axes_.size(); i-- > 1;) {
      const Axis& axis = axes_[i - 1];
      const int64_t place = row % axis.length;
      row /= axis.length;
      for (size_t tensor = 0; tensor < Count; ++tensor) result[tensor] += place * axis.strides[tensor];
    }
    return result;
  }

  Shape shape_;
  std::vector<Axis> axes_;
  int64_t size_ = 0;
  int64_t length_ = 1;
};

}  // namespace onnx2snn
