#!/usr/bin/env bash
# Unpack onnxruntime's C and C++ headers (Debian 13's libonnxruntime-dev) into a folder, on any Debian or Ubuntu,
# without installing anything and without touching the system's apt. Prints the line that the build wants to see:
#
#   eval "$(tools/fetch_onnxruntime_headers.sh build/onnxruntime)"
#   pip install .
#
# A library built with them runs in every onnxruntime from 1.21 on: its C interface is stable.
set -euo pipefail

folder=$(mkdir -p "${1:?usage: $0 FOLDER}" && cd "$1" && pwd)
headers=$folder/usr/include/onnxruntime
key=/usr/share/keyrings/debian-archive-keyring.gpg

if [[ ! -e $headers/onnxruntime_cxx_api.h ]]; then
    for needed in apt-get dpkg; do
        command -v "$needed" > /dev/null || { echo "$0: expected Debian or Ubuntu, found no $needed" >&2; exit 1; }
    done
    [[ -e $key ]] || { echo "$0: expected $key, found none; install debian-archive-keyring" >&2; exit 1; }
    mkdir -p "$folder"/apt/{state/lists/partial,cache/archives/partial}
    echo "deb [signed-by=$key] http://deb.debian.org/debian trixie main" > "$folder/apt/sources.list"
    own=(
        -o "Dir::State=$folder/apt/state" -o "Dir::Cache=$folder/apt/cache"
        -o "Dir::Etc::sourcelist=$folder/apt/sources.list" -o "Dir::Etc::sourceparts=-"
        -o "APT::Sandbox::User=$(id -un)" -o "Debug::NoLocking=true"
    )
    apt-get "${own[@]}" -qq update >&2
    (cd "$folder" && apt-get "${own[@]}" -qq download libonnxruntime-dev >&2)
    dpkg -x "$folder"/libonnxruntime-dev_*.deb "$folder"
fi
echo "export ONNXRUNTIME_INCLUDE_DIR='$headers'"
