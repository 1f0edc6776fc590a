// The operators of domain onnx2snn as kernels of onnxruntime's CPU provider.
//
// An artifact carries each of them as a function of standard operators. Where this library is registered,
// onnxruntime takes the kernel of the same name instead; the results are the same.
#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "broadcast.hpp"
#include "neurons.hpp"
#include "pool.hpp"

namespace onnx2snn {
namespace {

// Elements a task: enough to pay for handing it to a thread, few enough to stay in a core's cache.
constexpr int64_t kGrain = 1 << 14;

// Run work(begin, end) over [0, size) in onnxruntime's own threads.
template <typename Work>
void parallel(const Ort::KernelContext& context, int64_t size, int64_t grain, const Work& work) {
  struct Tasks {
    const Work& work;
    int64_t size, grain;
  } tasks{work, size, grain};
  const auto count = static_cast<size_t>((size + grain - 1) / grain);
  if (count == 0) return;
  const auto task = [](void* given, size_t number) {
    const Tasks& tasks = *static_cast<const Tasks*>(given);
    const int64_t begin = static_cast<int64_t>(number) * tasks.grain;
    tasks.work(begin, std::min(begin + tasks.grain, tasks.size));
  };
  if (count == 1) {
    task(&tasks, 0);
  } else {
    context.ParallelFor(task, count, 0, &tasks);
  }
}

Shape shape_of(const Ort::ConstValue& value) { return value.GetTensorTypeAndShapeInfo().GetShape(); }

// A node may leave an input out by an empty name.
Ort::ConstValue input(const Ort::KernelContext& context, size_t index) {
  const Ort::ConstValue value = context.GetInput(index);
  if (!value) throw std::invalid_argument("an input is missing");
  return value;
}

int64_t count_of(const Ort::ConstValue& value) { return product(shape_of(value)); }

// Null for an output that nobody reads.
float* output(Ort::KernelContext& context, size_t index, const Shape& shape) {
  Ort::UnownedValue value = context.GetOutput(index, shape);
  return value ? value.GetTensorMutableData<float>() : nullptr;
}

// An elementwise operator of `Inputs` tensors: call row(operands, count, offset) for all rows of its result.
//
// In a graph that was made for the kernels (onnx2snn/engine/blocked.py), input `repeated` may be [1, groups, 1,
// length]: what repeats itself all over the places of a group of channels. The others are then seen as
// [samples, groups, times, length], and a row is as short as what it repeats.
template <size_t Inputs>
class Elementwise {
 public:
  explicit Elementwise(const Ort::KernelContext& context, size_t repeated = Inputs)
      : context_(context), broadcast_(shapes(context, repeated)), shape_(broadcast_.shape()) {
    for (size_t i = 0; i < Inputs; ++i) data_[i] = input(context, i).GetTensorData<float>();
    if (repeated < Inputs) {
      const int64_t samples = shape_[0];
      shape_ = shape_of(input(context, 0));
      if (shape_.empty()) throw std::invalid_argument("a parameter repeats beside a current without samples");
      shape_[0] = samples;
      if (product(shape_) != size()) {
        throw std::invalid_argument("a parameter repeats beside a current that is less than the result");
      }
    }
  }

  const Shape& shape() const { return shape_; }
  int64_t size() const { return broadcast_.size(); }

  // Whether an input has an element for each of the result's: then it moves along every row.
  bool is_whole(size_t index) const { return count_of(input(context_, index)) == size(); }

  template <typename Row>
  void run(const Row& row) const {
    parallel(context_, broadcast_.size(), kGrain, [&](int64_t begin, int64_t end) {
      const auto steps = broadcast_.steps();
      broadcast_.each_row(begin, end, [&](const auto& offsets, int64_t offset, int64_t count) {
        std::array<Operand, Inputs> operands;
        for (size_t i = 0; i < Inputs; ++i) operands[i] = {data_[i] + offsets[i], steps[i] == 1};
        row(operands, count, offset);
      });
    });
  }

 private:
  static std::array<Shape, Inputs> shapes(const Ort::KernelContext& context, size_t repeated) {
    std::array<Shape, Inputs> result;
    for (size_t i = 0; i < Inputs; ++i) result[i] = shape_of(input(context, i));
    if (repeated == Inputs) return result;
    const Shape part = result[repeated];
    if (part.size() != 4 || part[0] != 1 || part[1] < 1 || part[2] != 1 || part[3] < 1) {
      throw std::invalid_argument("a parameter that repeats is of another shape than [1, groups, 1, length]");
    }
    for (size_t i = 0; i < Inputs; ++i) {
      if (i == repeated || result[i].empty()) continue;
      const int64_t places = product(Shape(result[i].begin() + 1, result[i].end()));
      if (places <= 1) continue;
      if (places % (part[1] * part[3]) != 0) {
        throw std::invalid_argument("a parameter repeats beside tensors that are no multiple of it");
      }
      result[i] = {result[i][0], part[1], places / (part[1] * part[3]), part[3]};
    }
    return result;
  }

  const Ort::KernelContext& context_;
  Broadcast<Inputs> broadcast_;
  Shape shape_;
  std::array<const float*, Inputs> data_;
};

// What the neurons share. In a graph that was made for the kernels (onnx2snn/engine/blocked.py), two more inputs
// hold a residual sum that has become part of the neuron. The last `Clocks` states have a size of their own.
template <size_t States, size_t Clocks = 0>
struct Neuron {
  static constexpr bool kInPlace = true;
  static constexpr size_t kRequired = 2 + States, kInputs = kRequired + 2, kOutputs = 1 + States;
  static constexpr size_t kRows = kOutputs - Clocks;

  // Call row(operands, residual or nullptr, number of elements, outputs) for all rows. The parameter may repeat.
  template <typename Row>
  static void run(Ort::KernelContext& context, const Row& row, bool repeats = false) {
    const size_t given = context.GetInputCount();
    if (given != kInputs && given != kRequired) throw std::invalid_argument("a shortcut without its factor");
    if (given == kInputs) {
      each_row<kInputs>(context, [&](const auto& in, int64_t count, const auto& out) {
        const Residual residual{in[kRequired], in[kRequired + 1]};
        row(in, &residual, count, out);
      }, repeats);
    } else {
      each_row<kRequired>(
          context, [&](const auto& in, int64_t count, const auto& out) { row(in, nullptr, count, out); }, repeats);
    }
  }

 private:
  template <size_t Inputs, typename Row>
  static void each_row(Ort::KernelContext& context, const Row& row, bool repeats) {
    const Elementwise<Inputs> inputs(context, repeats ? kRequired - 1 : Inputs);
    if (Inputs > kRequired && !(inputs.is_whole(0) && inputs.is_whole(kRequired))) {
      throw std::invalid_argument("a current or its shortcut is less than what the neuron gives");
    }
    std::array<float*, kRows> outputs;
    for (size_t i = 0; i < kRows; ++i) outputs[i] = output(context, i, inputs.shape());
    if (inputs.size() == 0) return;  // nor have empty outputs any memory
    const bool held = std::find(outputs.begin() + (kRows > 1), outputs.end(), nullptr) == outputs.end();
    if (!held) throw std::invalid_argument("a neuron whose state nobody reads");
    if (outputs[0] == nullptr) outputs[0] = outputs.back();
    inputs.run([&](const auto& in, int64_t count, int64_t at) {
      std::array<float*, kRows> out = outputs;
      for (float*& data : out) data += at;
      row(in, count, out);
    });
  }
};

struct BurstIF : Neuron<1> {
  static constexpr const char* kName = "BurstIF";
  float limit;

  explicit BurstIF(const Ort::ConstKernelInfo& info)
      : limit(static_cast<float>(info.GetAttribute<int64_t>("max_spikes"))) {}

  void compute(Ort::KernelContext& context) const {
    run(context, [&](const auto& in, const Residual* residual, int64_t count, const auto& out) {
      burst_if(in[0], residual, in[1], in[2], limit, count, out[0], out[1]);
    });
  }
};

struct SignedBurstIF : Neuron<2> {
  static constexpr const char* kName = "SignedBurstIF";
  float limit;

  explicit SignedBurstIF(const Ort::ConstKernelInfo& info)
      : limit(static_cast<float>(info.GetAttribute<int64_t>("max_spikes"))) {}

  void compute(Ort::KernelContext& context) const {
    run(context, [&](const auto& in, const Residual* residual, int64_t count, const auto& out) {
      signed_burst_if(in[0], residual, in[1], in[2], in[3], limit, count, out[0], out[1], out[2]);
    });
  }
};

struct AccumulateFire : Neuron<0> {
  static constexpr const char* kName = "AccumulateFire";
  float levels, potential;

  explicit AccumulateFire(const Ort::ConstKernelInfo& info)
      : levels(static_cast<float>(info.GetAttribute<int64_t>("levels"))),
        potential(info.GetAttribute<float>("potential")) {}

  void compute(Ort::KernelContext& context) const {
    run(context, [&](const auto& in, const Residual* residual, int64_t count, const auto& out) {
      accumulate_fire(in[0], residual, in[1], potential, levels, count, out[0]);
    });
  }
};

// Attributes that a graph may have that was made for the kernels (onnx2snn/engine/blocked.py).
int64_t own_attribute(const Ort::ConstKernelInfo& info, const char* name, int64_t otherwise) {
  int64_t value = otherwise;
  OrtStatus* missing = Ort::GetApi().KernelInfoGetAttribute_int64(info, name, &value);
  if (missing != nullptr) Ort::GetApi().ReleaseStatus(missing);
  return value;
}

// The bodies round by a float that absorbs what is small (onnx2snn/ops/graded_if.py). The kernels do the same where a
// dead zone ends just below 3/4 of a power of two, and is made wider by powers of two.
float zone_of(const Ort::ConstKernelInfo& info) {
  const float zone = info.GetAttribute<float>("dead_zone");
  int exponent = 0;
  const bool usual = zone > 0.0f && zone < 1.0f && std::frexp(std::nextafter(zone, 1.0f), &exponent) == 0.75f;
  if (!usual || exponent < -15) throw std::invalid_argument("a dead zone that ends elsewhere than at 3/4 of 2^k");
  return zone;
}

std::vector<float> factors_of(const Ort::ConstKernelInfo& info) {
  std::vector<float> factors = info.GetAttributes<float>("coarse");
  if (factors.empty()) throw std::invalid_argument("GradedIF: at least one number in coarse expected");
  for (const float factor : factors) {
    int exponent = 0;
    if (std::frexp(factor, &exponent) != 0.5f || exponent < 1 || exponent > 24) {
      throw std::invalid_argument("GradedIF: a number in coarse that is no power of two from 1 to 2^23");
    }
  }
  return factors;
}

// Where a clock stands in a list of so many numbers, of which the last holds for ever.
size_t place_of(float now, size_t count) {
  if (!(now > 0.0f)) return 0;
  return now < static_cast<float>(count) ? std::min(static_cast<size_t>(now), count - 1) : count - 1;
}

struct GradedIF : Neuron<2, 1> {
  static constexpr const char* kName = "GradedIF";
  float dead_zone;
  std::vector<float> coarse;
  bool rectified, repeats;

  explicit GradedIF(const Ort::ConstKernelInfo& info)
      : dead_zone(zone_of(info)),
        coarse(factors_of(info)),
        rectified(own_attribute(info, "rectified", 0) != 0),
        repeats(own_attribute(info, "repeats", 0) != 0) {}

  void compute(Ort::KernelContext& context) const {
    const Ort::ConstValue elapsed = input(context, 2);
    const int64_t places = count_of(elapsed);
    const float* const before = elapsed.GetTensorData<float>();
    float* const after = output(context, 2, shape_of(elapsed));
    if (after == nullptr && places > 0) throw std::invalid_argument("GradedIF: a clock that nobody reads");
    // All of them have one clock.
    const float now = places > 0 ? *std::max_element(before, before + places) : 0.0f;
    const float zone = dead_zone * coarse[place_of(now, coarse.size())];
    run(context, [&](const auto& in, const Residual* residual, int64_t count, const auto& out) {
      graded_if(in[0], residual, rectified, in[1], in[3], zone, count, out[0], out[1]);
    }, repeats);
    for (int64_t i = 0; i < places; ++i) after[i] = before[i] + 1.0f;
  }
};

constexpr std::array<const char*, 16> kGradedFires{
    "GradedFire1",  "GradedFire2",  "GradedFire3",  "GradedFire4",  "GradedFire5",  "GradedFire6",
    "GradedFire7",  "GradedFire8",  "GradedFire9",  "GradedFire10", "GradedFire11", "GradedFire12",
    "GradedFire13", "GradedFire14", "GradedFire15", "GradedFire16"};

template <size_t Timesteps>
struct GradedFire : Neuron<0> {
  static constexpr const char* kName = kGradedFires[Timesteps - 1];
  float dead_zone;
  bool rectified, repeats;

  explicit GradedFire(const Ort::ConstKernelInfo& info)
      : dead_zone(zone_of(info)),
        rectified(own_attribute(info, "rectified", 0) != 0),
        repeats(own_attribute(info, "repeats", 0) != 0) {}

  void compute(Ort::KernelContext& context) const {
    run(context, [&](const auto& in, const Residual* residual, int64_t count, const auto& out) {
      graded_fire(in[0], residual, rectified, in[1], dead_zone, Timesteps, count, out[0]);
    }, repeats);
  }
};

struct LIPool {
  static constexpr const char* kName = "LIPool";
  static constexpr bool kInPlace = false;  // its windows overlap
  static constexpr size_t kRequired = 3, kInputs = kRequired, kOutputs = 3;
  Window window;
  size_t axes;
  int64_t block;  // more than one only in a graph that was made for the kernels

  explicit LIPool(const Ort::ConstKernelInfo& info) {
    const auto kernel = info.GetAttributes<int64_t>("kernel_shape");
    const auto pads = info.GetAttributes<int64_t>("pads");
    axes = kernel.size();
    const auto strides = info.GetAttributes<int64_t>("strides"), dilations = info.GetAttributes<int64_t>("dilations");
    const bool fit = strides.size() == axes && dilations.size() == axes && pads.size() == 2 * axes;
    if (axes < 1 || axes > Window::kAxes || !fit) {
      throw std::invalid_argument("LIPool: attributes of up to three spatial axes that fit each other expected");
    }
    window.kernel = behind(kernel, 1);
    window.strides = behind(strides, 1);
    window.dilations = behind(dilations, 1);
    window.begins = behind({pads.begin(), pads.begin() + axes}, 0);
    window.ends = behind({pads.begin() + axes, pads.end()}, 0);
    window.auto_pad = info.GetAttribute<std::string>("auto_pad");
    window.ceil_mode = info.GetAttribute<int64_t>("ceil_mode") != 0;
    window.check();
    block = own_attribute(info, "block", 1);
    if (block < 1) throw std::invalid_argument("LIPool: blocks of no channel");
  }

  void compute(Ort::KernelContext& context) const {
    Shape shape = shape_of(input(context, 0));
    if (shape.size() != axes + 2) throw std::invalid_argument("LIPool: an input of another rank");
    if (shape[1] % block != 0) throw std::invalid_argument("LIPool: channels that are no whole blocks");
    const Geometry at(window, behind({shape.begin() + 2, shape.end()}, 1));
    const int64_t planes = product(Shape{shape[0], shape[1] / block});
    const int64_t area = product(Shape{at.size[0], at.size[1], at.size[2], block});
    const int64_t places = product(Shape{at.outputs[0], at.outputs[1], at.outputs[2], block});
    const Operand current{input(context, 0).GetTensorData<float>(), true};
    const Operand total = state(context, 1, product(Shape{planes, area}));
    const Operand pooled = state(context, 2, product(Shape{planes, places}));
    float* const next_total = output(context, 1, shape);
    std::copy(at.outputs.end() - axes, at.outputs.end(), shape.begin() + 2);
    float* const result = output(context, 0, shape);
    float* const next_pooled = output(context, 2, shape);
    const bool held = (result != nullptr && next_pooled != nullptr) || planes * places == 0;
    if (!held || (next_total == nullptr && planes * area > 0)) {
      throw std::invalid_argument("LIPool: an output that nobody reads");
    }
    const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, area));
    parallel(context, planes, grain, [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        const Operand x = from(current, plane * area), sum = from(total, plane * area);
        const Operand before = from(pooled, plane * places);
        float* const grown = result + plane * places;
        float* const next_sum = next_total + plane * area;
        float* const next = next_pooled + plane * places;
        if (at.pairs && block == 1) {
          li_pool_pairs(at, x, sum, before, grown, next_sum, next);
        } else {
          li_pool_plane(window, at, block, x, sum, before, grown, next_sum, next);
        }
      }
    });
  }

 private:
  // Up to three numbers, one for each of the last axes.
  static Window::Axes behind(const std::vector<int64_t>& numbers, int64_t missing) {
    Window::Axes result;
    result.fill(missing);
    std::copy(numbers.begin(), numbers.end(), result.end() - numbers.size());
    return result;
  }

  // A state: one element for each of the plane's, or one for all before the first timestep.
  static Operand state(const Ort::KernelContext& context, size_t index, int64_t size) {
    const Ort::ConstValue value = input(context, index);
    const int64_t found = count_of(value);
    if (found != size && found != 1) throw std::invalid_argument("LIPool: a state of another shape");
    return {value.GetTensorData<float>(), found != 1};
  }

  static Operand from(Operand operand, int64_t offset) {
    return {operand.data + (operand.moves ? offset : 0), operand.moves};
  }
};

// Nothing is thrown through onnxruntime's C interface.
template <typename Action>
OrtStatus* guarded(const Action& action) {
  try {
    action();
    return nullptr;
  } catch (const Ort::Exception& error) {
    return Ort::GetApi().CreateStatus(error.GetOrtErrorCode(), error.what());
  } catch (const std::exception& error) {
    return Ort::GetApi().CreateStatus(ORT_RUNTIME_EXCEPTION, error.what());
  }
}

template <typename Cell>
struct Kernel {
  Cell cell;

  OrtStatusPtr ComputeV2(OrtKernelContext* given) {
    return guarded([&] {
      Ort::KernelContext context(given);
      cell.compute(context);
    });
  }
};

template <typename Cell>
struct Operator : Ort::CustomOpBase<Operator<Cell>, Kernel<Cell>, true> {
  // What a neuron sends may lie where its current was, if onnxruntime knows them to be of one size.
  Operator() {
    if constexpr (!Cell::kInPlace) return;
    OrtCustomOp::GetMayInplace = [](int** inputs, int** outputs) -> size_t {
      static int first = 0;
      *inputs = *outputs = &first;
      return 1;
    };
    OrtCustomOp::ReleaseMayInplace = [](int*, int*) {};
  }

  OrtStatusPtr CreateKernelV2(const OrtApi&, const OrtKernelInfo* info, void** kernel) const {
    return guarded([&] { *kernel = new Kernel<Cell>{Cell(Ort::ConstKernelInfo(info))}; });
  }
  const char* GetName() const { return Cell::kName; }
  size_t GetInputTypeCount() const { return Cell::kInputs; }
  size_t GetOutputTypeCount() const { return Cell::kOutputs; }
  OrtCustomOpInputOutputCharacteristic GetInputCharacteristic(size_t index) const {
    return index < Cell::kRequired ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
  }
  // Where a neuron's output is its next state, that may be all that is read (onnx2snn/engine/blocked.py).
  OrtCustomOpInputOutputCharacteristic GetOutputCharacteristic(size_t index) const {
    return index == 0 ? INPUT_OUTPUT_OPTIONAL : INPUT_OUTPUT_REQUIRED;
  }
  ONNXTensorElementDataType GetInputType(size_t) const { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; }
  ONNXTensorElementDataType GetOutputType(size_t) const { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; }
};

template <size_t... Places>
void add_graded_fires(Ort::CustomOpDomain& domain, std::index_sequence<Places...>) {
  static const std::tuple<Operator<GradedFire<Places + 1>>...> operators;
  (domain.Add(&std::get<Places>(operators)), ...);
}

}  // namespace
}  // namespace onnx2snn

extern "C" {
#if defined(_WIN32)
__declspec(dllexport)
#else
__attribute__((visibility("default")))
#endif
OrtStatus* ORT_API_CALL RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* base) {
  using namespace onnx2snn;
  const OrtApi* const api = base->GetApi(ORT_API_VERSION);
  if (api == nullptr) {
    return base->GetApi(1)->CreateStatus(ORT_FAIL, "the kernels were built for a newer onnxruntime");
  }
  Ort::InitApi(api);
  return guarded([&] {
    static const Operator<BurstIF> burst_if;
    static const Operator<SignedBurstIF> signed_burst_if;
    static const Operator<AccumulateFire> accumulate_fire;
    static const Operator<GradedIF> graded_if;
    static const Operator<LIPool> li_pool;
    // Lives as long as the process: sessions may outlast the options.
    static const Ort::CustomOpDomain domain = [] {
      Ort::CustomOpDomain made("onnx2snn");
      made.Add(&burst_if);
      made.Add(&signed_burst_if);
      made.Add(&accumulate_fire);
      made.Add(&graded_if);
      add_graded_fires(made, std::make_index_sequence<kGradedFires.size()>());
      made.Add(&li_pool);
      return made;
    }();
    Ort::UnownedSessionOptions(options).Add(domain);
  });
}
}
