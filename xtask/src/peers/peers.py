"""Times one inference of each model in LiteRT with XNNPACK, ONNX Runtime and Dunlin, one thread
each, in turns, and prints JSON: for each model and contender the least and the median time of a
call in microseconds.

Usage: peers.py MODELS ROUNDS [TIMER IMAGES]

MODELS holds NAME.tflite, NAME.input.i8 (rows) and NAME.output.i8. TIMER is a program that loads
IMAGES/NAME.dnl and, for each line with a number on its input, runs it as often and prints the
nanoseconds of each run.
"""

import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from qdq import convert

NAMES = ["ic", "kws", "vww", "ad"]
CALLS = 50  # in a row, before the next contender's turn


def timed(call):
    def turn():
        times = []
        for _ in range(CALLS):
            start = time.perf_counter_ns()
            call()
            times.append(time.perf_counter_ns() - start)
        return times

    return turn


def litert(path, row):
    """Returns a turn and the output. The default delegate is XNNPACK."""
    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    interpreter.set_tensor(details["index"], row.reshape(details["shape"]))
    del details
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).ravel()
    # Below the checks of the Python layer, which take as long as the smallest model.
    call = getattr(getattr(interpreter, "_interpreter", None), "Invoke", interpreter.invoke)
    turn = timed(call)
    turn.keep = interpreter
    return turn, output


def ort(path, row):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(convert(path), options, ["CPUExecutionProvider"])
    value = session.get_inputs()[0]
    binding = session.io_binding()
    source = onnxruntime.OrtValue.ortvalue_from_numpy(row.reshape(value.shape))
    binding.bind_ortvalue_input(value.name, source)
    binding.bind_output(session.get_outputs()[0].name)
    session.run_with_iobinding(binding)
    output = binding.copy_outputs_to_cpu()[0].ravel()
    # Below the Python layer, as above.
    raw, raw_binding = getattr(session, "_sess", None), getattr(binding, "_iobinding", None)
    if raw is None or raw_binding is None:
        turn = timed(lambda: session.run_with_iobinding(binding))
    else:
        turn = timed(lambda: raw.run_with_iobinding(raw_binding, None))
    turn.keep = (session, source, binding)
    return turn, output


def dunlin(timer, image, row_file):
    process = subprocess.Popen(
        [timer, image, row_file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    output = np.array([int(value) for value in process.stdout.readline().split()], np.int8)

    def turn():
        process.stdin.write(f"{CALLS}\n")
        process.stdin.flush()
        return [int(value) for value in process.stdout.readline().split()]

    turn.keep = process
    return turn, output


def main():
    models, rounds, *rest = sys.argv[1:]
    results = {}
    for name in NAMES:
        path = os.path.join(models, f"{name}.tflite")
        if not os.path.exists(path):
            print(f"{name}: no {path}", file=sys.stderr)
            continue
        expected = np.fromfile(os.path.join(models, f"{name}.output.i8"), np.int8)
        expected = expected[: len(expected) // 8]
        row_file = os.path.join(models, f"{name}.input.i8")
        rows = np.fromfile(row_file, np.int8)
        row = rows[: len(rows) // 8].copy()
        contenders = {"litert": litert(path, row), "ort": ort(path, row)}
        if rest:
            image = os.path.join(rest[1], f"{name}.dnl")
            if os.path.exists(image):
                contenders["dunlin"] = dunlin(rest[0], image, row_file)
            else:
                print(f"{name}: no {image}", file=sys.stderr)
        times = {contender: [] for contender in contenders}
        for turn_number in range(int(rounds)):
            for contender, (turn, _) in contenders.items():
                taken = turn()
                if turn_number:  # the first one warms up
                    times[contender] += taken
        results[name] = {
            contender: {
                "min_us": min(taken) / 1000,
                "median_us": statistics.median(taken) / 1000,
                # Of the reference kernels' output; an optimised peer may differ.
                "largest_difference": int(
                    np.abs(contenders[contender][1].astype(int) - expected.astype(int)).max()
                ),
            }
            for contender, taken in times.items()
        }
    print(json.dumps(results))


main()
