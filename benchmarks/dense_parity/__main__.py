"""Our dense latency compared with the stock runtimes' built-in XNNPACK, on real models without masks.

    .venv/bin/python -m benchmarks.dense_parity [--rounds 40] [--threads 1,2] [--models a,b]
    .venv/bin/python -m benchmarks.dense_parity --models resnet18,conv-3-512-512-7-3,fc-1280-1000

Models are real ones, the networks of benchmarks/networks.py, or single layers (benchmarks/layers.py).

One process per interpreter, because they need environments of their own; they take turns of about
20 ms, in a random order in each round. The figure is the speed-up of ours over the faster of the
two stock runtimes, with its 95% interval. Of all real models, results go to
benchmarks/results/dense_parity.json.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks import layers, networks
from tflite_sparse.files import write_atomically
from tflite_sparse.measure import environment
from tflite_sparse.measure.statistics import speed_up, summarize
from tflite_sparse.runtime import find_runtime
from tflite_sparse.table import format_table
from tools.fetch_models import fetched
from tools.make_models import made

ROOT = Path(__file__).resolve().parent.parent.parent
RESULT = ROOT / "benchmarks" / "results" / "dense_parity.json"
FLOAT = (
    "face_detection_short_range",
    "face_detection_back",
    "face_landmark_fp32",
    "face_landmark",
    "hand_landmark_lite",
    "hand_landmark_full",
    "iris_landmark_fp32",
    "palm_detection_lite",
    "pose_detection",
    "pose_landmark_full",
)
INT8 = ("face_landmark_int8", "iris_landmark_int8")
# name -> (environment, runtime, mode)
CONTENDERS = {
    "ours": (".venv", "ai-edge-litert", "compact"),
    "ai-edge-litert 2.3.0": (".venv", "ai-edge-litert", "stock"),
    "tflite-runtime 2.14.0": (".venvs/tflite-runtime", "tflite-runtime", "stock"),
}
TURN_MS = 20.0


class Worker:
    """A process that runs one model in one interpreter."""

    def __init__(self, environment_folder, runtime, mode, threads, path):
        command = [str(ROOT / environment_folder / "bin" / "python"), "-m",
                   "benchmarks.dense_parity.worker", runtime, mode, str(threads), str(path)]  # fmt: skip
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def run(self, count):
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended with {self._process.wait()}")
        return json.loads(line)

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def find(model):
    """The path of a model's .tflite."""
    if model in INT8:
        return made(model)
    if model in FLOAT:
        return fetched(model)
    return networks.dense(model) if model in networks.NETWORKS else layers.dense(model)


def compare(path, threads, rounds, generator):
    """Latencies of all contenders on one model: {name: ([median of a round], [single])}."""
    workers = {
        name: Worker(folder, runtime, mode, threads, path)
        for name, (folder, runtime, mode) in CONTENDERS.items()
    }
    counts = {
        name: max(1, min(50, round(TURN_MS / np.median(worker.run(3)))))
        for name, worker in workers.items()
    }
    series = {name: ([], []) for name in workers}
    for _ in range(rounds):
        for name in generator.permutation(list(workers)):
            turn = workers[name].run(counts[name])
            series[name][0].append(float(np.median(turn)))
            series[name][1].extend(turn)
    for worker in workers.values():
        worker.close()
    return series


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--models", help="comma-separated; all real ones unless given")
    args = parser.parse_args()
    generator = np.random.default_rng(0)
    before = environment.read_state()
    rows = []
    for threads in map(int, args.threads.split(",")):
        for model in args.models.split(",") if args.models else FLOAT + INT8:
            path = find(model)
            print(f"{model}, {threads} threads ...", file=sys.stderr, flush=True)
            series = compare(path, threads, args.rounds, generator)
            stock = [name for name in series if name != "ours"]
            fastest = min(stock, key=lambda name: np.median(series[name][0]))
            ratio = speed_up(series[fastest][0], series["ours"][0])
            rows.append(
                {
                    "model": model,
                    "threads": threads,
                    "latency_ms": {name: asdict(summarize(s[1])) for name, s in series.items()},
                    "fastest_stock": fastest,
                    "speed_up": asdict(ratio),
                }
            )
    after = environment.read_state()
    # The workers are processes of their own, so what they used counts as other load here.
    doubts = [text for text in environment.warnings(before, after) if "other programs" not in text]
    record = {
        "machine": environment.as_dict(environment.describe_machine(find_runtime())),
        "before": environment.as_dict(before),
        "after": environment.as_dict(after),
        "rounds": args.rounds,
        "warnings": doubts,
        "rows": rows,
    }
    if not args.models:
        RESULT.parent.mkdir(exist_ok=True)
        write_atomically(RESULT, (json.dumps(record, indent=1) + "\n").encode())
    print(
        format_table(
            ("model", "threads", *CONTENDERS, "ours / fastest stock"),
            [
                (
                    row["model"],
                    row["threads"],
                    *(f"{row['latency_ms'][name]['median']:.3f}" for name in CONTENDERS),
                    "{value:.3f} [{low:.3f}, {high:.3f}]".format(**row["speed_up"]),
                )
                for row in rows
            ],
        )
    )
    print("\nmedian ms; last column: how many times ours is as fast as the faster stock runtime")


if __name__ == "__main__":
    main()
