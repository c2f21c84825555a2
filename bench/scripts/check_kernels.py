#!/usr/bin/env python3
"""Examines the kernels on the stand-in: under a sanitizer, and with barriers left out. Needs g++, cmake, compiled
kernels, and Maven Central once.

    ./mvnw -q test-compile -pl java/core,kernels,java/cuda -am
    bench/scripts/check_kernels.py FOLDER sanitize address,undefined|thread [TEST...]
    bench/scripts/check_kernels.py FOLDER mutate [--only gptq.ptx,norm.ptx] [--each] [--no-race-detector]

`sanitize` runs every test of the parity suite, each in a process: name, outcome, what was said, seconds.
`mutate` leaves out the barriers, waits and fences of the kernels, a line of the source at a time (with --each an
instruction of the PTX at a time, of which templates make several), and tells whether the parity suite or
ThreadSanitizer notices: file, numbers, kernels, line, instruction, who noticed, what was said, seconds. The mutant is
chosen at run time (STANDIN_REMOVE), so that kernels are compiled once.

FOLDER keeps what is built, a folder in it for each sanitizer.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARITY = "dev.quench.device.CudaParityTest"
SUBJECT = "dev.quench.device.DeviceParityTest$Subject"

# The smallest selection of tests that runs every kernel of a file that has a barrier, and the capability that the
# device claims: a file for sm_90a takes the place of its older twin.
TESTS = {
    "attention.ptx": (90, ["attention"]),
    "cholesky.ptx": (90, ["reverseCholesky", "invertUpper"]),
    "gptq.ptx": (90, ["gptqBlock"]),
    "hadamard.ptx": (90, ["dev.quench.cuda.CudaHadamardTest#rowsInTurn(int, int)"]),
    "logits.ptx": (90, ["logProbability"]),
    "moving.ptx": (90, ["transpose"]),
    "nearest.ptx": (80, ["quantizeToNearest"]),
    "nearest_sm90.ptx": (90, ["quantizeToNearest"]),
    "norm.ptx": (90, ["rmsNorm"]),
    "observe.ptx": (90, ["observe"]),
    "syrk.ptx": (80, ["syrk"]),
    "syrk_sm90.ptx": (90, ["dev.quench.cuda.CudaSyrkTest#bothWidthsGiveTheSameBytes"]),
}


# Tests of the suite that launch kernels of ours; those of files that a younger twin hides once more without it.
SUITE = [(90, test) for test in (
    "convert transpose gatherRows gatherSymmetric diagonal setDiagonal gemm syrk reverseCholesky invertUpper hadamard "
    "observe searchRange quantizationParameters quantize quantizeToNearest dequantize pack unpack gptqBlock add round "
    "scaleColumns addRow rmsNorm rope attention gatedActivation logProbability dev.quench.device.CudaWideRowsParityTest "
    "dev.quench.cuda.CudaSyrkTest dev.quench.cuda.CudaHadamardTest").split()]
SUITE += [(80, test) for test in ("syrk", "quantize", "quantizeToNearest")]


def selectors(tests):
    for test in tests:
        method = test if "#" in test else f"{PARITY}#{test}({SUBJECT})"
        yield f"--select-class={test}" if "." in test and "#" not in test else f"--select-method={method}"


def maven(*arguments):
    subprocess.run([ROOT / "mvnw", "-q", *arguments], cwd=ROOT, check=True, stdout=sys.stderr)


def class_path(folder):
    file = folder / "classpath"
    if not file.exists():
        maven("test-compile", "dependency:build-classpath", "-pl", "java/core,kernels,java/cuda", "-am",
              f"-Dmdep.outputFile={file}", "-Dmdep.includeScope=test")
    own = [ROOT / "java/cuda/target" / name for name in ("test-classes", "classes")]
    return ":".join([*map(str, own), file.read_text().strip()])


def console(folder):
    version = re.search(r"<junit.version>5\.(.*?)<", (ROOT / "pom.xml").read_text()).group(1)
    jar = folder / f"junit-platform-console-standalone-1.{version}.jar"
    if not jar.exists():
        maven("-N", "dependency:copy", f"-DoutputDirectory={folder}",
              f"-Dartifact=org.junit.platform:junit-platform-console-standalone:1.{version}")
    return jar


class Bench:
    """A build of the stand-in, and runs of tests on it."""

    def __init__(self, folder, sanitizer):
        self.folder = folder
        self.sanitizer = sanitizer
        self.java = pathlib.Path(os.environ["JAVA_HOME"], "bin/java")
        self.class_path = class_path(folder)
        self.console = console(folder)
        options = ["--removable"] + ([f"--sanitize={sanitizer}"] if sanitizer else [])
        home = folder / (sanitizer or "plain")
        out = subprocess.run(
            [self.java, "-cp", self.class_path, "dev.quench.cuda.standin.StandIn", home, *options],
            cwd=ROOT, check=True, capture_output=True, text=True).stdout
        self.environment = dict(line.split("=", 1) for line in out.splitlines() if re.match(r"[A-Z_]+=", line))
        self.mutants = [re.match(r"(\S+\.ptx):(\d+) (\S+), (\S+): (.*)", line).groups()
                        for line in out.splitlines() if re.match(r"\S+\.ptx:\d+ ", line)]

    def preload(self, library):
        found = subprocess.run(["g++", f"-print-file-name={library}"], check=True, capture_output=True, text=True)
        return {"LD_PRELOAD": found.stdout.strip()}

    def sanitizer_settings(self):
        if self.sanitizer == "thread":
            options = "ignore_noninstrumented_modules=1 halt_on_error=1 exitcode=66 symbolize=0"
            return self.preload("libtsan.so") | {"TSAN_OPTIONS": options}
        if "address" in self.sanitizer:
            options = "handle_segv=0:detect_leaks=0:exitcode=66"
            return self.preload("libasan.so") | {"ASAN_OPTIONS": options}
        return {}

    # Who noticed, what was said, and seconds.
    def run(self, capability, tests, remove, limit):
        environment = {
            **os.environ, **self.environment, "STANDIN_REMOVE": remove, "STANDIN_CAPABILITY": str(capability),
            "STANDIN_ORDER": "random", "QUENCH_REQUIRE_CUDA_TESTS": "1", **self.sanitizer_settings()}
        command = [self.java, "--enable-native-access=ALL-UNNAMED", "--add-modules=jdk.incubator.vector",
                   "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar",
                   self.console, "execute", f"--class-path={self.class_path}", "--details=tree", "--fail-if-no-tests",
                   "--disable-banner", "--disable-ansi-colors", "--include-engine=junit-jupiter", *selectors(tests)]
        start = time.time()
        try:
            done = subprocess.run(command, cwd=ROOT / "java/cuda", env=environment, capture_output=True, text=True,
                                  errors="replace", timeout=limit)
        except subprocess.TimeoutExpired:
            return "time", f"not done in {limit} s", time.time() - start
        text = done.stdout + done.stderr
        seconds = time.time() - start
        if done.returncode != 0:
            (self.folder / "last.log").write_text(text)
        if remove and "[standin] leaves out" not in text:
            return "not reached", "", seconds
        report = (re.search(r"(ThreadSanitizer|AddressSanitizer): (.*?) (?:\(pid|on ).*?\n.*?#0 (.*?)\n", text, re.S)
                  or re.search(r"\n([^\n]*): (runtime error): ([^\n]*)", text))
        if report:
            place = re.search(r"(\S+\.cuh?:\d+)", report.group(0))
            where = place.group(1).split("/")[-1] if place else report.group(3)
            return self.sanitizer + " sanitizer", f"{report.group(2)}, {where}", seconds
        if done.returncode == 0:
            return "nobody", "", seconds
        told = re.search(r"\[standin\] (?!leaves out)(.*)", text) or re.search(r"=> (.*)", text)
        return "suite", told.group(1)[:160] if told else f"exit code {done.returncode}", seconds


def sanitize(bench, arguments):
    outcomes = []
    for capability, test in SUITE:
        if not arguments.tests or test in arguments.tests:
            found, told, seconds = bench.run(capability, [test], "", arguments.limit)
            outcomes.append(found)
            print(test, capability, found, told, f"{seconds:.1f}", sep="\t", flush=True)
    return outcomes and all(found == "nobody" for found in outcomes)


# Those of a file: numbers, kernels, line, instruction.
def mutants_of(bench, file, each):
    groups = {}
    for name, number, kernel, line, instruction in bench.mutants:
        if name == file:
            key = (number, line, instruction) if each else (line, instruction)
            groups.setdefault(key, []).append((number, kernel))
    for key, members in groups.items():
        kernels = sorted({kernel for _, kernel in members})
        yield ",".join(number for number, _ in members), ",".join(kernels), *key[-2:]


def mutate(bench, arguments):
    for file in arguments.only.split(",") if arguments.only else sorted({mutant[0] for mutant in bench.mutants}):
        capability, tests = TESTS[file]
        found, told, seconds = bench.run(capability, tests, "", arguments.limit)
        print(file, "-", "-", "-", "nothing left out", found, told, f"{seconds:.1f}", sep="\t", flush=True)
        if found != "nobody":
            return False
        for mutant in mutants_of(bench, file, arguments.each):
            found, told, seconds = bench.run(capability, tests, f"{file}:{mutant[0]}", arguments.limit)
            print(file, *mutant, found, told, f"{seconds:.1f}", sep="\t", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--limit", type=int, default=600, help="seconds for a run")
    commands = parser.add_subparsers(dest="command", required=True)
    sanitizing = commands.add_parser("sanitize")
    sanitizing.add_argument("sanitizer", choices=["address", "undefined", "address,undefined", "thread"])
    sanitizing.add_argument("tests", nargs="*")
    mutating = commands.add_parser("mutate")
    mutating.add_argument("--only", help="names of files, with commas")
    mutating.add_argument("--each", action="store_true", help="each instruction of the PTX by itself")
    mutating.add_argument("--no-race-detector", action="store_true", help="the suite alone, threads in random order")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.command == "sanitize":
        passed = sanitize(Bench(folder, arguments.sanitizer), arguments)
    else:
        passed = mutate(Bench(folder, "" if arguments.no_race_detector else "thread"), arguments)
    sys.exit(0 if passed else f"the last run that failed is in {folder}/last.log")


if __name__ == "__main__":
    main()
