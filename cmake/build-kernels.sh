#!/bin/sh
# Compiles the kernels as part of a Maven build: build-kernels.sh BUILD-FOLDER OUTPUT-FOLDER KERNELS NVCC,
# the last two as CMakeLists.txt says.
set -eu
build=$1 output=$2 kernels=$3 nvcc=$4
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

without() {
  if [ "$kernels" = required ]; then
    echo "error: $1" >&2
    exit 1
  fi
  rm -rf "$output"
  echo "Quench is built without CUDA kernels: $1"
  exit 0
}

[ "$kernels" != none ] || without "quench.kernels=none"
command -v cmake >/dev/null || without "no cmake on PATH"
if command -v ninja >/dev/null; then
  generator=Ninja
elif command -v make >/dev/null; then
  generator='Unix Makefiles'
else
  without "neither ninja nor make on PATH"
fi
# A folder of another checkout or generator can't be used again.
if [ -f "$build/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$here" "$build/CMakeCache.txt" ||
  [ -f "$build/CMakeCache.txt" ] && ! grep -qxF "CMAKE_GENERATOR:INTERNAL=$generator" "$build/CMakeCache.txt"; then
  rm -rf "$build"
fi
mkdir -p "$build"
if ! cmake -S "$here" -B "$build" -G "$generator" "-DQUENCH_OUTPUT=$output" "-DQUENCH_KERNELS=$kernels" \
  "-DQUENCH_NVCC=$nvcc" >"$build/configure.log"; then
  exit 1
fi
cmake --build "$build" --parallel >"$build/build.log" || {
  cat "$build/build.log" >&2
  exit 1
}
