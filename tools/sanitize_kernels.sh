#!/usr/bin/env bash
# Run the native kernels under AddressSanitizer and UndefinedBehaviorSanitizer: the cases of all operators, and nodes
# drawn by chance that nobody should write. Once a release; it takes some ten minutes, and a g++ with both sanitizers.
#
#   eval "$(tools/fetch_onnxruntime_headers.sh build/onnxruntime)"
#   PYTHON=.venv-test/bin/python tools/sanitize_kernels.sh build/sanitized [NODES]
#
# The first thing that a sanitizer finds ends it, with a stack of the place.
set -euo pipefail

folder=$(mkdir -p "${1:?usage: $0 FOLDER [NODES]}" && cd "$1" && pwd)
nodes=${2:-20000}
python=$(realpath --no-symlinks "${PYTHON:-python}")
headers=${ONNXRUNTIME_INCLUDE_DIR:?see tools/fetch_onnxruntime_headers.sh}
cd "$(dirname "$0")/.."

# As CMakeLists.txt has it, but without vector versions: the loader would pick one before the sanitizers are there.
g++ -std=c++17 -O1 -g -fPIC -shared -fno-omit-frame-pointer \
    -fsanitize=address,undefined,float-cast-overflow \
    -fno-sanitize-recover=all -fno-math-errno -fno-trapping-math -ffp-contract=off \
    -isystem "$headers" onnx2snn/engine/native/src/library.cpp -o "$folder/onnx2snn_kernels.so"

# Python and onnxruntime are no sanitized programs: theirs are not looked at, and what they leave behind is no leak.
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 ONNX2SNN_DATA=
export LD_PRELOAD="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libstdc++.so.6)"
exec "$python" -m tests.attack.kernels --kernels "$folder/onnx2snn_kernels.so" --nodes "$nodes" --cases
