"""What `benchmarks.identity` compares: nets with their data, options, and commands on what they give.

A case is a net, the options of `onnx2snn compile` (None: nothing is compiled), and further commands. All run
in a folder of their own, in which the net is `ann.onnx`, its data are `train.npz` and `test.npz`, and the
artifact is `snn.onnx`: nothing that is written can hold a path of this machine.
"""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from benchmarks.nets import DATA, event_frames
from benchmarks.topologies import FIXTURES, example_feeds, load_fixture

Arrays = dict[str, npt.NDArray[Any]]

_DATA = DATA.resolve()  # every case changes the folder
_CIFAR = "--scale 1/255 --mean 0.4914,0.4822,0.4465 --std 0.2470,0.2435,0.2616"
_IMAGENET = "--scale 1/255 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"
#: Net of the data folder → its file, its data, its preprocessing, and samples to calibrate and to measure on.
REAL = {
    "cnn3": ("cnn3_nmnist", "nmnist", "", 60),
    "resnet8": ("resnet8_cifar10", "cifar10", "", 64),
    "resnet20": ("resnet20_cifar10", "cifar10", _IMAGENET, 64),
    "vgg8bn": ("vgg8bn_cifar10", "cifar10", "--scale 1/255", 64),
    "resnet20_cifar100": ("resnet20_cifar100", "cifar100", _CIFAR, 64),
    "mobilenet_v2": ("mobilenet_v2_cifar10", "cifar10", _CIFAR, 32),
    "vgg16": ("vgg16_cifar10", "cifar10", _CIFAR, 8),
    "resnet18": ("resnet18_cifar100", "cifar100", _CIFAR, 8),
}
#: Of the embedded net.
_DIGITS = "--scale 1/16"
#: An energy model of the user's.
_BOARD = """name = "board"
source = "none"
technology = "none"
convention = "made up"
flops_per_mac = 2
joules_per_mac = 1.1e-12
joules_per_analog_mac = 1.2e-12
joules_per_synaptic_operation = 0.4e-12
joules_per_neuron_update = 2.5e-12
"""
#: Stands for onnxruntime-web, which no page here is opened with.
_PACKAGE = {
    "package.json": '{"name": "onnxruntime-web", "version": "1.30.0"}',
    "dist/ort.wasm.min.js": "script",
    "dist/ort-wasm-simd-threaded.mjs": "loader",
    "dist/ort-wasm-simd-threaded.wasm": "binary",
}

#: Stands for a command where `onnx2snn.SpikingSession` is asked; its backend follows.
SESSION = "session"
_COMPARED = "--data test.npz --reference ann.onnx"
_EVALUATE = f"evaluate snn.onnx {_COMPARED}"
_DIAGNOSE = f"diagnose snn.onnx {_COMPARED}"
_RUN = "run snn.onnx --input test.npz -o out.npz"
_WEB = f"web snn.onnx {_COMPARED} --samples 3 --onnxruntime-web package -o page"
_SWEEP = f"sweep ann.onnx --calib train.npz --data test.npz {_DIGITS}"
_SHOWN = ("inspect ann.onnx", "inspect snn.onnx", _EVALUATE, _RUN)
_STEPS = (f"{SESSION} onnxruntime", f"{SESSION} numpy")


class Case(NamedTuple):
    """One road; see the head of this file."""

    net: str
    options: str | None
    commands: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The net and its options, or what else is done with it."""
        return (
            f"{self.net}, {self.commands[0]}"
            if self.options is None
            else f"{self.net} {self.options}".strip()
        )


#: Quick ones, for use while something is changed: under two minutes.
SMALL: tuple[Case, ...] = (
    Case("digits", None, ("doctor", "demo --out demo", "completion bash", "--help", "compile --help")),
    Case(
        "digits", None, ("evaluate --help", "diagnose --help", "run --help", "inspect --help", "sweep --help")
    ),
    Case("digits", "", (*_SHOWN, *_STEPS, f"{_EVALUATE} --report out.html", _DIAGNOSE, _WEB)),
    Case("digits", "--code burst", (*_SHOWN, f"{_EVALUATE} --report out.html", _DIAGNOSE, _WEB)),
    Case("digits", "--signed -T 4 --report compile.html", (*_SHOWN, f"{_DIAGNOSE} --report out.html", _WEB)),
    Case("digits", "-T 3 -G 2 --schedule layer --report compile.html", (*_SHOWN, *_STEPS, _DIAGNOSE, _WEB)),
    Case("digits", "-T 4 --schedule layer --code radix", (*_SHOWN, f"{_DIAGNOSE} --report out.html")),
    Case("digits", "-T 4 --schedule layer --weights int8", (*_SHOWN, f"{_EVALUATE} --report out.html")),
    Case("digits", "-T 3 --schedule layer --weights int8", _STEPS),
    Case("digits", "-T 4 --schedule layer --code radix --weights int8 --no-refit", (*_SHOWN, _DIAGNOSE)),
    Case("digits", "-G auto --spike-budget 80% --report compile.html", (*_SHOWN, _DIAGNOSE)),
    Case(
        "digits", "--compress energy --max-loss 1 --code burst", (*_SHOWN, f"{_EVALUATE} --report out.html")
    ),
    Case(
        "digits",
        "--early-exit auto --max-loss 2 --report compile.html --code burst",
        (*_SHOWN, f"{_RUN} --threads 1"),
    ),
    Case("digits", "--early-exit confidence:0.8 --signed", (*_SHOWN, f"{_EVALUATE} --report out.html")),
    Case(
        "digits",
        "--dynamic-timesteps --code burst",
        (*_SHOWN, f"{_RUN} --timesteps 3", f"{_DIAGNOSE} --timesteps 3"),
    ),
    Case("digits", None, (f"{_SWEEP} --kinds signed,layer --timesteps 2 --plot out.svg --report out.html",)),
    Case("digits", "--signed --dynamic-timesteps -T 3", _STEPS),
    Case("digits", "--signed --schedule layer"),
    Case("digits", "-T 3 --schedule layer --report compile.html", (*_SHOWN, *_STEPS, _DIAGNOSE, _WEB)),
    Case("digits", "--until-rest --exponents auto -T 16", (*_SHOWN, _DIAGNOSE)),
    Case("digits_quantised", "-T 4 --schedule layer --code radix", (*_SHOWN, *_STEPS, _DIAGNOSE)),
    Case("digits_qdq", "-T 8 --signed", (*_SHOWN, _DIAGNOSE)),
    Case("digits_leaky", "-T 4 --code burst", (*_SHOWN, *_STEPS, _DIAGNOSE)),
    Case("resnet8", "-T 4 --signed", (*_SHOWN, _DIAGNOSE)),
    Case("prelu.script", "-T 4 --code burst", (*_SHOWN, *_STEPS, _DIAGNOSE)),
    Case("vit_relu.script", "-T 4 --signed", (*_SHOWN, *_STEPS, _DIAGNOSE)),
    Case("vit_gelu.dynamo", "-T 4 --approximate relu-sum", _SHOWN),
    Case("vit_gelu.dynamo", "-T 4", (*_SHOWN, _DIAGNOSE)),
    Case("convnext.script", "--strict --code burst", ("inspect ann.onnx --strict --code burst",)),
    Case("keras_functional.torch", "-T 4 --granularity layer --code burst", _SHOWN),
    Case("tf_cnn_cifar", "-T 4 --layout NHWC --code burst", _SHOWN),
    Case("pointnet.dynamo", "-T 4 --code burst", (*_SHOWN, *_STEPS)),
    Case("yolo.script", "-T 4 --code burst", _SHOWN),
)

#: The others.
LARGE: tuple[Case, ...] = (
    Case("digits", "--threshold max -vv --code burst", (_EVALUATE,)),
    Case("digits", "--threshold percentile --code burst", (_EVALUATE,)),
    Case("digits", "--threshold percentile --percentile 99 --granularity layer --code burst", (_DIAGNOSE,)),
    Case("digits", "--threshold mse --no-correct-bias -q --code burst", (_EVALUATE, _DIAGNOSE)),
    Case("digits", "-T 1 -G 1 --correct-bias --refit", (*_SHOWN, *_STEPS, _DIAGNOSE)),
    Case("digits", "-T 16 -G 4 --levels 2", (_EVALUATE, f"{_EVALUATE} --timesteps 2,16", _WEB)),
    Case("digits", "-T 4 --signed --levels 3 --dynamic-timesteps", (_RUN, f"{_RUN} --timesteps 9")),
    Case("digits", "-T 2 -G 255 --granularity layer", (_EVALUATE,)),
    Case(
        "digits",
        "--max-samples 10 --batch-size 4 -T 4 --code burst",
        (f"{_EVALUATE} --batch-size 7 --max-samples 20",),
    ),
    Case("digits", "--strict -T 4 --code burst", ("inspect snn.onnx --strict",)),
    Case(
        "digits",
        "--max-spikes auto --spike-budget 9000 --signed",
        (*_SHOWN, f"{_DIAGNOSE} --report out.html"),
    ),
    Case("digits", "--max-spikes auto --schedule layer --max-search-samples 40", _SHOWN),
    Case(
        "digits",
        "--compress spikes --max-loss 2 --loss-measure agreement --report compile.html --code burst",
        _SHOWN,
    ),
    Case("digits", "--compress energy --loss-measure accuracy --schedule layer --code radix -T 4", _SHOWN),
    Case("digits", "--compress energy --max-loss 3 --max-search-samples 30 --signed -T 4", _SHOWN),
    Case("digits", "--early-exit confidence --code burst", (*_SHOWN, f"{_RUN} --early-exit auto")),
    Case(
        "digits",
        "--early-exit entropy --dynamic-timesteps --code burst",
        (*_SHOWN, f"{_EVALUATE} --early-exit auto"),
    ),
    Case("digits", "--early-exit entropy:0.3 --max-spikes auto --report compile.html", _SHOWN),
    Case(
        "digits",
        "-T 6 --code burst",
        (
            f"{_EVALUATE} --early-exit confidence:0.7 --report out.html",
            f"{_EVALUATE} --early-exit entropy --timesteps 2,3",
            f"{_EVALUATE} --early-exit auto --calib train.npz --max-loss 5",
            f"{_EVALUATE} --energy-model board.toml --report out.html",
            f"{_EVALUATE} --energy-model rolls-77fj --threads 1",
            "evaluate snn.onnx --data test.npz --energy-model 45nm-int8",
            "evaluate snn.onnx --data test.npy --timesteps 1,5",
            "evaluate snn.onnx --data pictures --scale 1/240",
            "evaluate snn.onnx --data pictures --scale 1/240 --resize 8,8",
            "inspect ann.onnx --energy-model board.toml",
            "inspect snn.onnx --energy-model 45nm-int8",
            "diagnose snn.onnx --data test.npy --reference ann.onnx --max-samples 20 --batch-size 6",
            f"{_RUN} --early-exit auto --calib train.npz --max-loss 5",
            f"{_RUN} --early-exit confidence:2",
            "run snn.onnx --input test.npy",
            "run snn.onnx --input missing.npy",
            "web snn.onnx --data test.npz --samples 4 --onnxruntime-web package -o page",
            "web snn.onnx --data test.npz --onnxruntime-web pictures",
        ),
    ),
    Case("digits", None, (f"{_SWEEP} --timesteps 1,3 --max-loss none --calib-samples 20 --plot out.pdf",)),
    Case(
        "resnet8",
        None,
        ("sweep ann.onnx --calib train.npz --data test.npz --kinds radix --timesteps 3 --cache kept",),
    ),
    Case(
        "digits", None, ("run ann.onnx --input test.npz", "inspect missing.onnx", "sweep ann.onnx --kinds x")
    ),
    Case(
        "digits", None, ("web --help", "demo --help", "doctor --help", "completion --help", "completion zsh")
    ),
    Case("digits", "-G 4 --levels 5"),
    Case("digits", "--code radix"),
    Case("digits", "--max-loss 1 --code burst"),
    Case("digits", "--weights int8 --schedule layer -T 100"),
    Case(
        "digits_pictures",
        "-T 4 --scale 1/240 --resize 8,8 --mean 0.1 --std 0.9 --code burst",
        ("inspect snn.onnx", _RUN),
    ),
    Case("digits_quantised", "-T 8 --signed", _SHOWN),
    Case("digits_quantised", "-T 3 -G 4 --schedule layer --weights int8 --max-spikes 5", _SHOWN),
    Case("digits_quantised", "-T 4 --compress spikes --code burst"),
    Case("digits_leaky", "-T 4 --schedule layer --signed"),
    Case("digits_leaky", "-T 4 --schedule layer --code burst", (_EVALUATE, _DIAGNOSE)),
    Case("digits_leaky", "-T 8 --signed --max-spikes auto"),
    Case("cnn3", "-T 8 --signed", (*_SHOWN, *_STEPS, _DIAGNOSE, _WEB)),
    Case("cnn3", "-T 4 --schedule layer --weights int8 --code radix", _SHOWN),
    Case("cnn3", "-T 4 --early-exit auto --code burst", _SHOWN),
    Case("resnet8", "-T 4 -G auto", _SHOWN),
    Case("resnet8", "-T 4 --schedule layer --weights int8", (*_SHOWN, _DIAGNOSE)),
    Case("resnet8", "-T 4 --schedule layer --code radix --compress energy --max-loss 2", _SHOWN),
    Case("resnet8", "--early-exit confidence:0.9 --code burst", (_EVALUATE, _RUN)),
    Case("resnet20", "-T 8 --signed", (*_SHOWN, f"{_EVALUATE} --report out.html", _WEB)),
    Case("resnet20", "-T 4 --schedule layer --weights int8", (*_SHOWN, _DIAGNOSE)),
    Case("resnet20", "-T 4 -G auto --spike-budget 70% --signed", (_EVALUATE,)),
    Case("resnet20", "-T 3 --schedule layer --code radix", (_EVALUATE, _RUN)),
    Case("vgg8bn", "-T 4 --code burst", (*_SHOWN, _DIAGNOSE)),
    Case("vgg8bn", "-T 4 --schedule layer --code burst", (_EVALUATE,)),
    Case("vgg8bn", "-T 4 --schedule layer --code radix --weights int8", (_EVALUATE,)),
    Case("resnet20_cifar100", "-T 4 --signed --compress spikes --max-loss 3", _SHOWN),
    Case(
        "resnet20_cifar100",
        "-T 4 --schedule layer --no-refit --threshold percentile --code burst",
        (_EVALUATE,),
    ),
    Case("mobilenet_v2", "-T 4 --signed", (_EVALUATE,)),
    Case("mobilenet_v2", "-T 3 --schedule layer --weights int8", (_EVALUATE,)),
    Case("vgg16", "-T 2 --schedule layer --code burst", (_EVALUATE,)),
    Case("resnet18", "-T 2 --signed", (_EVALUATE,)),
    Case("prelu.dynamo", "-T 4 --schedule layer --code radix", _SHOWN),
    Case("vit_relu.dynamo", "-T 4 --schedule layer --code burst", _SHOWN),
    Case("vit_gelu.dynamo", "-T 4 --code burst", ("inspect ann.onnx --code burst",)),
    Case("vit_gelu.script", "-T 4 --approximate relu-sum --signed", (*_SHOWN, _DIAGNOSE)),
    Case("vit_gelu.script", "-T 4 --approximate relu-sum --schedule layer --weights int8", _SHOWN),
    Case("convnext.dynamo", "-T 4 --approximate relu-sum", (*_SHOWN, _DIAGNOSE)),
    Case("convnext.script", "-T 4 --schedule layer --approximate relu-sum", _SHOWN),
    Case("deeplab.dynamo", "-T 4 --signed", (*_SHOWN, *_STEPS, _DIAGNOSE)),
    Case("deeplab.script", "-T 3 --schedule layer --code burst", _SHOWN),
    Case("densenet.dynamo", "-T 4 --code burst", _SHOWN),
    Case("densenet.script", "-T 3 --schedule layer --code radix --weights int8", (*_SHOWN, *_STEPS)),
    Case("googlenet.dynamo", "-T 4 --signed --threshold max", (*_SHOWN, *_STEPS)),
    Case("googlenet.script", "-T 3 --schedule layer --code burst", _SHOWN),
    Case("keras_clipped.tensorflow", "-T 4 --schedule layer --weights int8", _SHOWN),
    Case("keras_clipped.torch", "-T 4 --signed", _SHOWN),
    Case("keras_functional.tensorflow", "-T 4 --early-exit confidence --code burst", _SHOWN),
    Case("keras_sequential.tensorflow", "-T 4 --early-exit auto --code burst", _SHOWN),
    Case("keras_sequential.torch", "-T 4 --schedule layer --code burst", (*_SHOWN, *_STEPS)),
    Case("mobilenet_v2.dynamo", "-T 3 --schedule layer --code radix", (_EVALUATE,)),
    Case("mobilenet_v2.script", "-T 2 --signed", (_EVALUATE,)),
    Case("mobilenet_v3.dynamo", "-T 2 --signed", (_EVALUATE,)),
    Case("mobilenet_v3.script", "-T 2 --schedule layer --weights int8", (_EVALUATE,)),
    Case("pointnet.script", "-T 3 --schedule layer --compress energy --code burst", (*_SHOWN, *_STEPS)),
    Case("resnet18.dynamo", "-T 4 --max-spikes auto", (_EVALUATE,)),
    Case("resnet18.script", "-T 2 --schedule layer --weights int8", (_EVALUATE, _DIAGNOSE)),
    Case("shufflenet_v2.dynamo", "-T 4 --dynamic-timesteps --code burst", (_EVALUATE,)),
    Case("shufflenet_v2.script", "-T 2 --schedule layer --no-correct-bias --code burst", (_EVALUATE,)),
    Case("tf_clipped", "-T 4 --schedule layer --code radix", _SHOWN),
    Case("tf_cnn", "-T 4 --signed --levels 3", _SHOWN),
    Case("tf_functional", "-T 4 --schedule layer --weights int8", _SHOWN),
    Case("unet.dynamo", "-T 4 --signed --early-exit confidence"),
    Case("unet.script", "-T 4 --schedule layer --code burst", (*_SHOWN, *_STEPS, _DIAGNOSE)),
    Case(
        "vgg_bn.dynamo",
        "-T 4 --granularity layer --threshold percentile --percentile 99.5 --code burst",
        _SHOWN,
    ),
    Case("vgg_bn.script", "-T 4 --schedule layer --code radix --compress spikes", _SHOWN),
    Case("yolo.dynamo", "-T 4 --schedule layer --weights int8", (*_SHOWN, *_STEPS)),
)


def preprocessing(net: str) -> str:
    """The preprocessing of a net's data, as it is typed."""
    if net in FIXTURES:
        return ""
    if net == "tf_cnn_cifar":
        return "--scale 1/255"
    return REAL[net][2] if net in REAL else "" if net == "digits_pictures" else _DIGITS


def calibration(net: str) -> str:
    """What `--calib` names."""
    return "pictures" if net == "digits_pictures" else "train.npz"


def prepare(net: str, folder: Path) -> None:
    """Write a net and its data into an empty folder."""
    for name, text in _PACKAGE.items():
        (folder / "package" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "package" / name).write_text(text)
    if net in REAL:
        _prepare_real(net, folder)
    elif net in FIXTURES:
        model = load_fixture(net)
        onnx.save(model, folder / "ann.onnx")
        feeds = example_feeds(model, 24, seed=1)
        np.savez(
            folder / "train.npz", allow_pickle=False, **{name: array[:16] for name, array in feeds.items()}
        )
        np.savez(
            folder / "test.npz", allow_pickle=False, **{name: array[16:] for name, array in feeds.items()}
        )
    elif net == "tf_cnn_cifar":
        onnx.save(load_fixture("tf_cnn"), folder / "ann.onnx")
        _save(folder / "train.npz", _arrays("cifar10_train2000"), 32)
        _save(folder / "test.npz", _arrays("cifar10_test2000"), 16)
    else:
        _prepare_digits(net, folder)


def _prepare_real(net: str, folder: Path) -> None:
    file, data, _, samples = REAL[net]
    shutil.copyfile(_DATA / "models" / f"{file}.onnx", folder / "ann.onnx")
    sizes = ("train200", "test100") if data == "nmnist" else ("train2000", "test2000")
    for name, size in zip(("train", "test"), sizes, strict=True):
        _save(folder / f"{name}.npz", _arrays(f"{data}_{size}"), samples)


def _arrays(name: str) -> Arrays:
    """Images and labels of a data set; of recordings, their frames."""
    path = _DATA / f"{name}.npz"
    if name.startswith("nmnist"):
        return dict(zip(("images", "labels"), event_frames(path), strict=True))
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in ("images", "labels")}


def _save(path: Path, arrays: Arrays, samples: int) -> None:
    np.savez(path, allow_pickle=False, **{name: array[:samples] for name, array in arrays.items()})


def _prepare_digits(net: str, folder: Path) -> None:
    """The embedded net, with other rectifiers where the name says so, and data of every kind."""
    source = resources.files("onnx2snn") / "demo"
    model = onnx.load_from_string((source / "digits.onnx").read_bytes())
    if net in _RECTIFIERS:
        _replace_relus(model, *_RECTIFIERS[net])
    onnx.save(model, folder / "ann.onnx")
    for name, stem, samples in (("train", "digits_calibration", 64), ("test", "digits_test", 48)):
        with (source / f"{stem}.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            _save(folder / f"{name}.npz", dict(arrays), samples)
            images, labels = arrays["images"][:samples], arrays["labels"][:samples]
    np.save(folder / "test.npy", images)
    (folder / "board.toml").write_text(_BOARD)
    _save_pictures(folder / "pictures", images, labels)


def _save_pictures(folder: Path, images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
    """Image files of twice the size, by class."""
    from PIL import Image

    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.kron(15 * image[0], np.ones((2, 2), np.uint8))).save(place / f"{number}.png")


#: Net → the nodes that stand for a Relu of x, and their constants.
_RECTIFIERS: dict[str, tuple[tuple[tuple[str, tuple[str, ...]], ...], dict[str, Any]]] = {
    "digits_leaky": ((("LeakyRelu", ("",)),), {}),
    "digits_quantised": (
        (
            ("Div", ("", "q")),
            ("Add", ("", "half")),
            ("Floor", ("",)),
            ("Clip", ("", "0", "15")),
            ("Mul", ("", "q")),
        ),
        {"q": np.float32(0.25), "half": np.float32(0.5), "0": np.float32(0), "15": np.float32(15)},
    ),
    "digits_qdq": (
        (("QuantizeLinear", ("", "q", "zero")), ("DequantizeLinear", ("", "q", "zero"))),
        {"q": np.float32(0.03), "zero": np.uint8(0)},
    ),
}


def _replace_relus(
    model: onnx.ModelProto, parts: tuple[tuple[str, tuple[str, ...]], ...], constants: dict[str, Any]
) -> None:
    """Write other nodes in place of every Relu, as quantisation-aware training exports them."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type != "Relu":
            model.graph.node.append(node)
            continue
        value = node.input[0]
        for number, (op, names) in enumerate(parts):
            result = node.output[0] if number == len(parts) - 1 else f"{node.output[0]}/{number}"
            inputs = [value, *names[1:]]
            model.graph.node.append(helper.make_node(op, inputs, [result], f"{node.name}/{number}/{op}"))
            value = result
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()
    )
