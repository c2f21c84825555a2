#!/usr/bin/env python3
"""Prints the table of CUDA kernels in bench/KERNELS.md, from the build and from runs on the CPU stand-in.

    ./mvnw -q package dependency:build-classpath -pl bench -am -DskipTests -Dquench.kernels=required \\
        -Dmdep.outputFile=target/classpath
    bench/scripts/kernel_table.py --java JDK25/bin/java > table.md

No time is measured. Registers, shared memory and spills are what ptxas said (manifest.json). The rest comes from the
workloads of CudaWorkload, run once on small operands: the stand-in counts the sectors and the wavefronts of each memory
request, and gcov how often each PTX instruction, a line of the translated C++, was run. Both counters are of a process
and know kernels, not workloads. Needs g++, gcov, cmake and the kernels.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGES = ROOT / "kernels/target/images/dev/quench/cuda/kernels"
STAND_IN = ROOT / "native/standin"
JVM = ["--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"]

# Warp instructions that an H100 issues in a second, and bytes: GpuPeaks.H100.
ISSUE = 0.90e12
BANDWIDTH = 3.35e12

FLAGS = ["-std=c++20", "-O0", "-march=native", "-ffp-contract=off", "-fPIC", "-fvisibility=hidden", "--coverage"]

# A g++ that makes nothing of a kernel.
NO_KERNELS = """#!/bin/sh
case "$*" in
*.partial.so) for last; do :; done; : >"$last" ;;
*) exec {} "$@" ;;
esac
"""

Work = collections.namedtuple("Work", "workload kernel launches elements bytes flops pipe seconds")


def run(command, **options):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


class Stand:
    """The stand-in, with kernels that count."""

    def __init__(self, java, classpath, folder):
        self.java = [java, *JVM, "-cp", classpath]
        self.folder = folder
        self.counted = folder / "counted"
        self.lines = {}  # of each source, the lines that are instructions, and their kernels

    def build(self):
        """Takes only the translations from the program that builds the stand-in: kernels are compiled once, here."""
        programs = self.folder / "programs"
        programs.mkdir(parents=True, exist_ok=True)
        compiler = programs / "g++"
        compiler.write_text(NO_KERNELS.format(shutil.which("g++")))
        compiler.chmod(0o755)
        environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}")
        run([*self.java, "dev.quench.cuda.standin.StandIn", str(self.folder), "--profile"], env=environment)
        self.counted.mkdir(exist_ok=True)
        sources = sorted((self.folder / "kernels").glob("*.cpp"))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(self.compile, sources))

    def compile(self, source):
        """Without #line, so that a line is an instruction to gcov and to the profile."""
        text, instructions, kernel, follows = [], {}, "", False
        for line in source.read_text().splitlines():
            if line.startswith("#line"):
                follows = True
                continue
            text.append(line)
            entry = re.match(r'extern "C" void (\w+)\(', line)
            if entry:
                kernel = entry.group(1)
            elif follows:
                instructions[len(text)] = kernel
            follows = False
        self.lines[source.stem] = instructions
        target = self.counted / source.name
        text = "\n".join(text) + "\n"
        library = target.with_suffix(".so")
        if library.exists() and target.exists() and target.read_text() == text:
            return
        target.write_text(text)
        thing = target.with_suffix(".o")
        run(["g++", *FLAGS, "-I", str(STAND_IN), "-c", str(target), "-o", str(thing)])
        run(["g++", "--coverage", "-shared", str(thing), "-o", str(library)])

    def workloads(self, names, capability):
        """Runs them, or takes what an earlier run counted with the same kernels: (dynamic shared memory, rows of the
        profile, instructions of threads), each by kernel."""
        known = self.folder / f"{names[0]}.{capability}.json"
        newest = max(library.stat().st_mtime for library in self.counted.glob("*.so"))
        if not known.exists() or known.stat().st_mtime < newest or json.loads(known.read_text())[0] != names:
            print(*names, capability, file=sys.stderr)
            known.write_text(json.dumps([names, self.count(names, capability)]))
        return json.loads(known.read_text())[1]

    def count(self, names, capability):
        profile = self.folder / "profile.tsv"
        profile.unlink(missing_ok=True)
        for old in self.counted.glob("*.gcda"):
            old.unlink()
        environment = dict(
            os.environ,
            LD_LIBRARY_PATH=str(self.folder),
            STANDIN_KERNELS=str(self.counted),
            STANDIN_PROFILE=str(profile),
            STANDIN_WORKERS="1",
            STANDIN_TRACE="1",
            STANDIN_CAPABILITY=str(capability),
        )
        process = subprocess.run(
            [*self.java, "dev.quench.bench.CudaWorkloadProgram", *names],
            env=environment,
            text=True,
            stderr=subprocess.PIPE,
        )
        if process.returncode != 0:
            raise SystemExit(f"{names} fail:\n{process.stderr}")
        dynamic = dict(re.findall(r"\] (quench_\w+) grid .* dynamic shared (\d+)", process.stderr))
        rows = collections.defaultdict(list)
        for line in profile.read_text().splitlines():
            kernel, _, where, what, width, requests, units, ideal, amount = line.split("\t")
            rows[kernel].append(
                (where, what, int(width), int(requests), float(units), float(ideal), int(amount))
            )
        return dynamic, rows, self.instructions()

    def instructions(self):
        counts = collections.Counter()
        for data in self.counted.glob("*.gcda"):
            instructions = self.lines[data.stem]
            report = run(["gcov", "-t", "-o", str(self.counted), str(data)], stderr=subprocess.DEVNULL)
            inside = False
            for line in report.splitlines():
                fields = re.match(r" *([^:]+): *(\d+):(.*)", line)
                if not fields:
                    continue
                count, line_number, rest = fields[1].rstrip("*"), int(fields[2]), fields[3]
                if rest.startswith("Source:"):
                    inside = rest.endswith(data.stem + ".cpp")
                if inside and count.isdigit() and line_number in instructions:
                    counts[instructions[line_number]] += int(count)
        return counts


def machine_code(cubin):
    """Instructions of each kernel of a cubin: 16 bytes each, in the section .text.KERNEL."""
    data = cubin.read_bytes()
    offset, size, count, names = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, offset + i * size) for i in range(count)]
    strings = headers[names][4]
    result = {}
    for name, _, _, _, _, length in headers:
        end = data.index(b"\0", strings + name)
        text = data[strings + name : end].decode()
        if text.startswith(".text."):
            result[text[len(".text.") :]] = length // 16
    return result


def ptx_kernels(text):
    """The text of each kernel of a PTX file."""
    parts = re.split(r"\.visible \.entry (\w+)\(", text)
    return dict(zip(parts[1::2], parts[2::2]))


def widths(text, what):
    """The widest access to global memory in a PTX text, in bytes of a lane: what is known of it without a run."""
    found = re.findall(rf"\b{what}\.global(?:\.\w+|::\w+)*?(?:\.v(\d))?\.[a-z](\d+)\b", text)
    return str(max((int(count or 1) * int(bits) // 8 for count, bits in found), default=""))


def share(rows, where, what):
    """Width of most bytes, and units for each ideal unit, of a kind of memory request."""
    chosen = [row for row in rows if row[0] == where and (what is None or row[1] == what)]
    if not chosen:
        return "", 0.0, 0.0
    widths = collections.Counter()
    for row in chosen:
        widths[row[2]] += row[6]
    units = sum(row[3] * row[4] for row in chosen)
    ideal = sum(row[3] * row[5] for row in chosen)
    return str(widths.most_common(1)[0][0]), units, ideal


def number(value):
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}" if value else "0"


class Kernel:
    """A row of the table."""

    def __init__(self, image, entry, small, calibration, counts, code, ptx):
        text, static = ptx
        dynamic, rows, executed = counts or ({}, {}, {})
        self.name = entry["name"].removeprefix("quench_")
        if image["target"] == "sm_90a" and "sm90" not in self.name:
            self.name += " (sm_90a)"
        self.registers, self.spills = entry["registers"], entry["spills"]
        self.shared = entry["shared"] + int(dynamic.get(entry["name"], 0))
        rows = rows.get(entry["name"], [])
        self.is_counted = bool(counts)
        self.load, loads, ideal_loads = share(rows, "global", "load")
        self.store, stores, ideal_stores = share(rows, "global", "store")
        _, waves, ideal_waves = share(rows, "shared", None)
        ideal = ideal_loads + ideal_stores
        self.sectors = (loads + stores) / ideal if ideal else 0
        self.conflicts = waves / ideal_waves if ideal_waves else 0
        if not counts:
            self.load, self.store = widths(text, "ld"), widths(text, "st")
        tensor = collections.Counter(re.findall(r"\b(wgmma\.mma_async|mma\.sync)", text))
        self.tensor = ", ".join(f"{count} {name}" for name, count in tensor.items())
        self.traffic = 32 * (loads + stores) / small.bytes if small.bytes else 0
        run_by_threads = executed.get(entry["name"], 0)
        self.instructions = run_by_threads / small.elements
        self.expansion = code / static
        self.bytes = calibration.bytes / calibration.elements
        self.flops = calibration.flops / calibration.elements
        self.memory = calibration.bytes / BANDWIDTH
        self.roofline = calibration.seconds
        # As many machine instructions as PTX ones, or more if the code says so. They grow as the operations do:
        # attention's with the length of sequences, a factorization's with the cube of its size.
        scale = calibration.flops / small.flops if small.flops else calibration.elements / small.elements
        self.issue = run_by_threads / 32 * max(1, self.expansion) * scale / ISSUE
        self.computes = calibration.flops > 0 and self.roofline > 1.01 * self.memory

    def line(self):
        return "| " + " | ".join(
            [
                self.name,
                str(self.registers),
                str(self.shared),
                str(self.spills),
                self.load or "-",
                self.store or "-",
                self.tensor or "-",
                f"{self.sectors:.2f}" if self.sectors else "-",
                f"{self.conflicts:.2f}" if self.conflicts else "-",
                f"{self.traffic:.2f}" if self.is_counted else "-",
                number(self.bytes),
                number(self.flops),
                number(self.instructions) if self.is_counted else "-",
                f"{self.expansion:.2f}",
                number(1e6 * self.roofline),
                number(1e6 * self.issue) if self.is_counted else "-",
            ]
        ) + " |"


HEAD = [
    "kernel", "registers", "shared", "spills", "load", "store", "tensor", "sectors", "waves", "traffic", "bytes", "flops",
    "PTX", "SASS/PTX", "roofline µs", "issue µs",
]


def works(stand):
    found = collections.defaultdict(dict)
    for line in run([*stand.java, "dev.quench.bench.CudaWorkloadProgram", "--list"]).splitlines():
        size, *fields = line.split("\t")
        work = Work(*fields[:2], *map(float, fields[2:6]), fields[6], float(fields[7]))
        found[size][work.workload, work.kernel] = work
    return found


def workload_of(kernel, small):
    """The first workload that launches a kernel: it is the plainest."""
    return next((workload for workload, name in small if name == kernel), None)


def groups(wanted, small):
    """Workloads, with capabilities, that can share a process: no two have a kernel in common, and none makes its
    operands with a kernel of another one, as those may whose names begin differently."""
    found = []
    for workload, capability in wanted:
        kernels = {kernel for name, kernel in small if name == workload}
        key = workload.split("_")[0], capability
        group = next((g for g in found if g[0] == key and not g[2] & kernels), None)
        if group is None:
            group = key, [], set()
            found.append(group)
        group[1].append(workload)
        group[2].update(kernels)
    return [(names, key[1]) for key, names, _ in found]


def entries(manifest, small, only):
    """Images and their kernels, with the workload and the capability that show each."""
    for image in manifest["images"]:
        for entry in image["kernels"]:
            name = entry["name"]
            workload = workload_of(name, small)
            if workload is None or not re.search(only, name):
                continue
            twins = [i for i in manifest["images"] if i is not image and any(k["name"] == name for k in i["kernels"])]
            older = twins and image["target"] != "sm_90a" or workload == "SYRK_MMA"
            yield image, entry, (workload, 80 if older else 90)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--java", default="java")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "bench/target/kernel-table")
    parser.add_argument("--only", default="", help="a regular expression of kernels")
    parser.add_argument("--build-only", action="store_true", help="only what needs no run on the stand-in")
    arguments = parser.parse_args()
    classpath = ":".join(
        [str(ROOT / "bench/target/classes"), (ROOT / "bench/target/classpath").read_text().strip()]
    )
    stand = Stand(arguments.java, classpath, arguments.folder.resolve())
    if not arguments.build_only:
        stand.build()
    work = works(stand)
    manifest = json.loads((IMAGES / "manifest.json").read_text())
    listed = list(entries(manifest, work["small"], arguments.only))
    counts = {}
    for names, capability in [] if arguments.build_only else groups(dict.fromkeys(key for _, _, key in listed), work["small"]):
        counted = stand.workloads(names, capability)
        counts.update({(name, capability): counted for name in names})
    rows = []
    for image, entry, (workload, capability) in listed:
        name = entry["name"]
        ptx = (IMAGES / image["file"]).read_text()
        text = ptx_kernels(ptx)[name]
        lines = stand.lines.get(hashlib.sha256(ptx.encode()).hexdigest()[:16], {})
        static = list(lines.values()).count(name) or len(re.findall(r"^\s+[@a-z{].*;", text, re.MULTILINE))
        rows.append(
            Kernel(
                image,
                entry,
                work["small"][workload, name],
                work["calibration"][workload, name],
                counts.get((workload, capability)),
                machine_code(IMAGES / image["cubins"][-1]["file"])[name],
                (text, static),
            )
        )
    print_table(manifest, rows)


def print_table(manifest, rows):
    print(f"{len(rows)} kernels, {manifest['compiler']}.\n")
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for row in rows:
        print(row.line())
    # On an H100 a kernel of sm_90a runs instead of its twin.
    replaced = {row.name.removesuffix(" (sm_90a)") for row in rows if row.name.endswith(" (sm_90a)")}
    memory_bound = [row for row in rows if row.is_counted and not row.computes and row.name not in replaced]
    print("\n**More than 1.1 × the floor of bytes is asked for:**", end=" ")
    print(names(memory_bound, lambda row: row.traffic > 1.1, lambda row: row.traffic))
    print("\n**Issue time above that of memory, as a multiple:**", end=" ")
    print(names(memory_bound, lambda row: row.issue > row.memory, lambda row: row.issue / row.memory))
    print("\n**Spills:**", names(rows, lambda row: row.spills, lambda row: row.spills))


def names(rows, condition, value):
    chosen = [f"{row.name} {value(row):.2f}" for row in rows if condition(row)]
    return ", ".join(chosen) + "." if chosen else "none."


if __name__ == "__main__":
    main()
