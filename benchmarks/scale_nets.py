"""Nets at the size that their papers give them, node by node in ONNX, with random weights.

`python -m benchmarks.scale_nets [name ...]` prints what each is made of, and that its activations are sound.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from benchmarks.topologies import BATCH, behaviour, fill_weights

OPSET = 20  # the first with Gelu
IR = 10
CLASSES = 1000
SEGMENTS = 21  # classes of a place, of the UNet
BOXES = 3 * (80 + 5)  # of a place of a head of the YOLO: scores and box, for each of three anchors


@dataclass
class Builder:
    """Adds nodes to a graph, one after the other. Values are called as the nodes that make them.

    Weights have dims and no data: `fill_weights` draws them. Values are channels first.
    """

    size: int  # height and width of the images
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def add(self, op: str, name: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Any) -> str:
        """A node, and its first output."""
        made = list(outputs) or [name]
        self.nodes.append(helper.make_node(op, list(inputs), made, name=name, **attributes))
        return made[0]

    def weight(self, name: str, *dims: int) -> str:
        """A weight without data."""
        self.tensors[name] = onnx.TensorProto(name=name, dims=dims, data_type=onnx.TensorProto.FLOAT)
        return name

    def constant(self, name: str, values: Any, dtype: Any = np.int64) -> str:
        """A constant that is no weight."""
        self.tensors[name] = numpy_helper.from_array(np.array(values, dtype), name)
        return name

    def conv(
        self,
        name: str,
        x: str,
        channels: tuple[int, int],
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        bias: bool = False,
    ) -> str:
        """A convolution from channels to channels, padded as much as keeps the size."""
        before, after = channels
        weights = [self.weight(f"{name}.weight", after, before // groups, kernel, kernel)]
        weights += [self.weight(f"{name}.bias", after)] if bias else []
        shape: dict[str, Any] = {
            "kernel_shape": [kernel] * 2,
            "strides": [stride] * 2,
            "pads": [kernel // 2] * 4,
        }
        return self.add("Conv", name, x, *weights, group=groups, **shape)

    def norm(self, name: str, x: str, channels: int) -> str:
        """Batch normalisation."""
        parts = ("weight", "bias", "running_mean", "running_var")
        return self.add(
            "BatchNormalization", name, x, *(self.weight(f"{name}.{part}", channels) for part in parts)
        )

    def activate(self, kind: str, name: str, x: str) -> str:
        """An activation; SiLU and ReLU6 are written as exporters write them, "" is none."""
        if kind == "":
            return x
        if kind == "ReLU6":
            low, high = (self.constant(f"{name}.{end}", end, np.float32) for end in (0, 6))
            return self.add("Clip", name, x, low, high)
        if kind == "SiLU":
            return self.add("Mul", name, x, self.add("Sigmoid", f"{name}.sigmoid", x))
        return self.add({"ReLU": "Relu", "GELU": "Gelu", "Sigmoid": "Sigmoid"}[kind], name, x)

    def block(
        self,
        name: str,
        x: str,
        channels: tuple[int, int],
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        act: str = "ReLU",
    ) -> str:
        """Convolution, batch normalisation, activation."""
        x = self.conv(f"{name}.conv", x, channels, kernel, stride, groups=groups)
        return self.activate(act, f"{name}.act", self.norm(f"{name}.norm", x, channels[1]))

    def linear(self, name: str, x: str, features: tuple[int, int]) -> str:
        """A linear layer of [N, features]."""
        weight = self.weight(f"{name}.weight", features[1], features[0])
        return self.add("Gemm", name, x, weight, self.weight(f"{name}.bias", features[1]), transB=1)

    def tokens(self, name: str, x: str, features: tuple[int, int]) -> str:
        """A linear layer of [N, tokens, features]."""
        product = self.add("MatMul", f"{name}.product", x, self.weight(f"{name}.weight", *features))
        return self.add("Add", name, product, self.weight(f"{name}.bias", features[1]))

    def pool(self, name: str, x: str, kernel: int = 2, stride: int = 2, pad: int = 0) -> str:
        """A maximum over windows."""
        return self.add("MaxPool", name, x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def classify(self, x: str, channels: int) -> str:
        """The scores of ImageNet's classes, of the mean over all places."""
        mean = self.add("GlobalAveragePool", "pool", x)
        return self.linear("scores", self.add("Flatten", "flat", mean), (channels, CLASSES))

    def model(self, name: str, outputs: Sequence[str]) -> onnx.ModelProto:
        """The net of images [N, 3, size, size]."""
        image = helper.make_tensor_value_info(
            "image", onnx.TensorProto.FLOAT, [BATCH, 3, self.size, self.size]
        )
        made = [onnx.ValueInfoProto(name=output) for output in outputs]
        graph = helper.make_graph(self.nodes, name, [image], made, list(self.tensors.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        typed = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        for value, found in zip(model.graph.output, typed.graph.output, strict=True):
            value.CopyFrom(found)
            value.type.tensor_type.shape.dim[0].dim_param = BATCH
        return model


def resnet50(b: Builder) -> list[str]:
    """ResNet-50 (He et al. 2015), with the stride in the 3 × 3 convolution, as torchvision has it."""
    x = b.pool("stem.pool", b.block("stem", "image", (3, 64), 7, 2), 3, 2, 1)
    before = 64
    for stage, (width, depth) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for index in range(depth):
            name, stride = f"stage{stage}.{index}", 2 if stage and not index else 1
            y = b.block(f"{name}.1", x, (before, width))
            y = b.block(f"{name}.2", y, (width, width), 3, stride)
            y = b.block(f"{name}.3", y, (width, 4 * width), act="")
            if not index:
                x = b.block(f"{name}.shortcut", x, (before, 4 * width), 1, stride, act="")
            x, before = b.activate("ReLU", f"{name}.act", b.add("Add", f"{name}.sum", y, x)), 4 * width
    return [b.classify(x, before)]


def vgg16(b: Builder) -> list[str]:
    """VGG-16 (Simonyan & Zisserman 2014), configuration D, without batch normalisation."""
    x, before = "image", 3
    for stage, (width, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        for index in range(depth):
            name = f"stage{stage}.{index}"
            x, before = b.conv(name, x, (before, width), 3, bias=True), width
            x = b.activate("ReLU", f"{name}.act", x)
        x = b.pool(f"stage{stage}.pool", x)
    x, features = b.add("Flatten", "flat", x), before * (b.size // 32) ** 2
    for index in range(2):
        x = b.activate("ReLU", f"hidden{index}.act", b.linear(f"hidden{index}", x, (features, 4096)))
        features = 4096
    return [b.linear("scores", x, (features, CLASSES))]


def mobilenet_v2(b: Builder) -> list[str]:
    """MobileNetV2 (Sandler et al. 2018): ReLU6, depthwise convolutions, linear bottlenecks."""
    x, before = b.block("stem", "image", (3, 32), 3, 2, act="ReLU6"), 32
    plan = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    for stage, (factor, after, depth, first) in enumerate(plan):
        for index in range(depth):
            name, stride, width = f"stage{stage}.{index}", 1 if index else first, factor * before
            y = b.block(f"{name}.expand", x, (before, width), act="ReLU6") if factor > 1 else x
            y = b.block(f"{name}.depthwise", y, (width, width), 3, stride, groups=width, act="ReLU6")
            y = b.block(f"{name}.project", y, (width, after), act="")
            x, before = b.add("Add", f"{name}.sum", x, y) if index else y, after
    return [b.classify(b.block("head", x, (before, 1280), act="ReLU6"), 1280)]


def efficientnet_b0(b: Builder) -> list[str]:
    """EfficientNet-B0 (Tan & Le 2019): SiLU, depthwise convolutions, squeeze and excitation."""
    x, before = b.block("stem", "image", (3, 32), 3, 2, act="SiLU"), 32
    plan = (
        (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
    )  # fmt: skip
    for stage, (factor, after, depth, first, kernel) in enumerate(plan):
        for index in range(depth):
            name, stride, width = f"stage{stage}.{index}", 1 if index else first, factor * before
            y = b.block(f"{name}.expand", x, (before, width), act="SiLU") if factor > 1 else x
            y = b.block(f"{name}.depthwise", y, (width, width), kernel, stride, groups=width, act="SiLU")
            y = _excite(b, f"{name}.gate", y, width, before // 4)
            y = b.block(f"{name}.project", y, (width, after), act="")
            x, before = b.add("Add", f"{name}.sum", x, y) if index else y, after
    return [b.classify(b.block("head", x, (before, 1280), act="SiLU"), 1280)]


def _excite(b: Builder, name: str, x: str, channels: int, squeezed: int) -> str:
    """Each channel times what all of them together make of the mean over its places."""
    mean = b.add("GlobalAveragePool", f"{name}.mean", x)
    y = b.conv(f"{name}.squeeze", mean, (channels, squeezed), bias=True)
    y = b.conv(f"{name}.excite", b.activate("SiLU", f"{name}.act", y), (squeezed, channels), bias=True)
    return b.add("Mul", name, x, b.activate("Sigmoid", f"{name}.sigmoid", y))


def yolo(b: Builder) -> list[str]:
    """A YOLOv5s (Ultralytics 2020) with a stem of 5 × 5: C3 blocks, pools, a neck both ways, three heads."""
    x, before = b.block("stem", "image", (3, 32), 5, 2, act="SiLU"), 32
    levels = []
    for stage, (width, depth) in enumerate(((64, 1), (128, 2), (256, 3), (512, 1))):
        x = b.block(f"down{stage}", x, (before, width), 3, 2, act="SiLU")
        x, before = _c3(b, f"stage{stage}", x, (width, width), depth, shortcut=True), width
        levels.append(x)
    x = b.block("pyramid.in", x, (512, 256), act="SiLU")
    pools = [x]
    for index in range(3):
        pools.append(b.pool(f"pyramid.pool{index}", pools[-1], 5, 1, 2))
    x = b.block("pyramid.out", b.add("Concat", "pyramid", *pools, axis=1), (1024, 512), act="SiLU")
    sides = []
    for index, (width, side) in enumerate(((256, levels[2]), (128, levels[1]))):
        sides.append(b.block(f"up{index}.in", x, (2 * width, width), act="SiLU"))
        scales = b.constant(f"up{index}.scales", (1, 1, 2, 2), np.float32)
        x = b.add("Resize", f"up{index}", sides[-1], "", scales, mode="nearest", nearest_mode="floor",
                  coordinate_transformation_mode="asymmetric")  # fmt: skip
        x = b.add("Concat", f"up{index}.join", x, side, axis=1)
        if not index:
            x = _c3(b, f"up{index}.c3", x, (2 * width, width), 1)
    x = _c3(b, "up1.c3", x, (256, 128), 1)
    found = [x]
    for index, (width, side) in enumerate(((128, sides[1]), (256, sides[0]))):
        x = b.block(f"back{index}", x, (width, width), 3, 2, act="SiLU")
        x = b.add("Concat", f"back{index}.join", x, side, axis=1)
        x = _c3(b, f"back{index}.c3", x, (2 * width, 2 * width), 1)
        found.append(x)
    return [b.conv(f"head{index}", x, (128 << index, BOXES), bias=True) for index, x in enumerate(found)]


def _c3(
    b: Builder, name: str, x: str, channels: tuple[int, int], depth: int, *, shortcut: bool = False
) -> str:
    """Half of the channels through bottlenecks, half past them."""
    before, after = channels
    half = after // 2
    y, past = (b.block(f"{name}.{way}", x, (before, half), act="SiLU") for way in ("in", "past"))
    for index in range(depth):
        z = b.block(f"{name}.{index}.1", y, (half, half), act="SiLU")
        z = b.block(f"{name}.{index}.2", z, (half, half), 3, act="SiLU")
        y = b.add("Add", f"{name}.{index}.sum", y, z) if shortcut else z
    return b.block(
        f"{name}.out", b.add("Concat", f"{name}.join", y, past, axis=1), (after, after), act="SiLU"
    )


def vit_s16(b: Builder) -> list[str]:
    """ViT-S/16 (Dosovitskiy et al. 2020, Touvron et al. 2020): a class token, 12 blocks, 6 heads of 64."""
    width, heads, depth, places = 384, 6, 12, (b.size // 16) ** 2
    weights = (b.weight("patches.weight", width, 3, 16, 16), b.weight("patches.bias", width))
    x = b.add("Conv", "patches", "image", *weights, kernel_shape=[16, 16], strides=[16, 16])
    x = b.add("Reshape", "patches.flat", x, b.constant("patches.shape", (0, width, places)))
    x = b.add("Transpose", "patches.tokens", x, perm=[0, 2, 1])
    count = b.add("Shape", "count", x, end=1)
    shape = b.add("Concat", "token.shape", count, b.constant("token.size", (1, width)), axis=0)
    token = b.add("Expand", "token.all", b.weight("token", 1, 1, width), shape)
    x = b.add("Concat", "tokens", token, x, axis=1)
    x = b.add("Add", "placed", x, b.weight("places", 1, places + 1, width))
    for index in range(depth):
        name = f"block{index}"
        y = _attention(b, f"{name}.attention", _layer_norm(b, f"{name}.norm1", x, width), width, heads)
        x = b.add("Add", f"{name}.sum1", x, y)
        y = b.tokens(f"{name}.mlp.1", _layer_norm(b, f"{name}.norm2", x, width), (width, 4 * width))
        y = b.tokens(f"{name}.mlp.2", b.activate("GELU", f"{name}.mlp.act", y), (4 * width, width))
        x = b.add("Add", f"{name}.sum2", x, y)
    x = b.add("Gather", "first", _layer_norm(b, "norm", x, width), b.constant("zero", 0), axis=1)
    return [b.linear("scores", x, (width, CLASSES))]


def _layer_norm(b: Builder, name: str, x: str, width: int) -> str:
    weights = (b.weight(f"{name}.{part}", width) for part in ("weight", "bias"))
    return b.add("LayerNormalization", name, x, *weights, epsilon=1e-6)


def _attention(b: Builder, name: str, x: str, width: int, heads: int) -> str:
    """Softmax attention over all tokens; queries, keys and values come from one product."""
    parts = [f"{name}.{part}" for part in ("q", "k", "v")]
    b.add("Split", f"{name}.split", b.tokens(f"{name}.qkv", x, (width, 3 * width)), outputs=parts, axis=2,
          num_outputs=3)  # fmt: skip
    shape = b.constant(f"{name}.heads", (0, 0, heads, width // heads))
    q, k, v = (
        b.add("Transpose", f"{part}.heads", b.add("Reshape", f"{part}.split", part, shape), perm=perm)
        for part, perm in zip(parts, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
    )
    scale = b.constant(f"{name}.scale", (width / heads) ** -0.5, np.float32)
    y = b.add("Mul", f"{name}.scaled", b.add("MatMul", f"{name}.scores", q, k), scale)
    y = b.add("MatMul", f"{name}.mix", b.add("Softmax", f"{name}.softmax", y, axis=-1), v)
    y = b.add("Transpose", f"{name}.tokens", y, perm=[0, 2, 1, 3])
    y = b.add("Reshape", f"{name}.flat", y, b.constant(f"{name}.width", (0, 0, width)))
    return b.tokens(f"{name}.out", y, (width, width))


def unet(b: Builder) -> list[str]:
    """A UNet (Ronneberger et al. 2015) of 32 to 512 channels, padded, with batch normalisation."""
    x, before, skips = "image", 3, []
    for stage, width in enumerate((32, 64, 128, 256, 512)):
        x, before = _twice(b, f"down{stage}", x, (before, width)), width
        if width < 512:
            skips.append(x)
            x = b.pool(f"down{stage}.pool", x)
    for stage, skip in enumerate(reversed(skips)):
        half = before // 2
        weights = (b.weight(f"up{stage}.weight", before, half, 2, 2), b.weight(f"up{stage}.bias", half))
        x = b.add("ConvTranspose", f"up{stage}", x, *weights, kernel_shape=[2, 2], strides=[2, 2])
        x = b.add("Concat", f"up{stage}.join", skip, x, axis=1)
        x, before = _twice(b, f"up{stage}.block", x, (before, half)), half
    return [b.conv("scores", x, (before, SEGMENTS), bias=True)]


def _twice(b: Builder, name: str, x: str, channels: tuple[int, int]) -> str:
    return b.block(f"{name}.2", b.block(f"{name}.1", x, channels, 3), (channels[1], channels[1]), 3)


#: Each net with the height and width of its images.
SIZES: dict[str, tuple[Callable[[Builder], list[str]], int]] = {
    "resnet50": (resnet50, 224),
    "vgg16": (vgg16, 224),
    "mobilenet_v2": (mobilenet_v2, 224),
    "efficientnet_b0": (efficientnet_b0, 224),
    "yolo": (yolo, 416),
    "vit_s16": (vit_s16, 224),
    "unet": (unet, 256),
}


def stripped(name: str, size: int | None = None) -> onnx.ModelProto:
    """One of `SIZES`, whose weights have dims but no data.

    Args:
        name: of the net.
        size: height and width of its images, a multiple of 32; by default those of its paper.

    Returns:
        The net. Its input is `image`, float32 [N, 3, size, size]; its outputs are scores before any softmax.
    """
    make, usual = SIZES[name]
    builder = Builder(size or usual)
    return builder.model(name, make(builder))


def build(name: str, size: int | None = None, seed: int = 0) -> onnx.ModelProto:
    """What `stripped` gives, with random weights."""
    return fill_weights(stripped(name, size), seed)


def main() -> None:
    """Prints, for each net: nodes, weights, spread of its activations, input dependence, time of an image."""
    print(
        f"{'net':<17}{'nodes':>6}{'weights':>14}{'std min':>9}{'max':>8}{'output':>8}{'depends':>9}{'ms':>9}"
    )
    for name in sys.argv[1:] or SIZES:
        model = build(name)
        weights = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
        found = behaviour(model)
        print(
            f"{name:<17}{len(model.graph.node):>6}{weights:>14,}{min(found.stds):>9.3f}{max(found.stds):>8.2f}"
            f"{found.stds[-1]:>8.3f}{min(found.dependence):>9.2f}{found.milliseconds:>9.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
