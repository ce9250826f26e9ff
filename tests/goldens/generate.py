"""Writes litert.bin.gz (small random int8 models and what LiteRT's reference kernels make of them) and the table
in README.md.

    pip install ai-edge-litert==2.3.0 flatbuffers==25.12.19 numpy==2.4.6    # CPython 3.11
    python generate.py

Everything is drawn from seeds, one for every family of cases, so that the same command gives the same
bytes. README.md beside this file says what the archive holds; the layout, little-endian, in one gzip stream:

    8 bytes   b"DUNGOLD1"
    u32       number of entries
    entry:
      u16 length, name (UTF-8)
      u16 length, rounding: "litert"
      u16 length, note: empty, or words divided by spaces: "keep_state", "io"
      u32 length, the .tflite model
      u32 rows
      u32 bytes of a row's inputs:  all inputs' int8 in the model's order, one after another
      u32 bytes of a row's outputs: likewise
      inputs of row 0, inputs of row 1, ...
      outputs of row 0, outputs of row 1, ...

`keep_state`: the rows are one sequence, variables keep their values from row to row; otherwise every row starts
with fresh variables. `io`: the model's inputs or outputs are float; the archive then holds the int8 side of the
QUANTIZE or DEQUANTIZE there: the float input is (q - zero point) * scale of the tensor that QUANTIZE writes.
"""

import collections
import gzip
import pathlib
import struct
import sys
import zlib

import numpy as np

import elementwise
import extremes
import graphs
import layout
import recurrent
import weighted
from model import make_rows, run

MODULES = [weighted, extremes, elementwise, layout, recurrent, graphs]
HERE = pathlib.Path(__file__).parent


def text(value):
    return struct.pack("<H", len(value)) + value.encode()


def entry(graph, content, rows, outputs):
    inputs = [b"".join(x.astype(np.int8).tobytes() for x in row) for row in rows]
    head = text(graph.name) + text("litert") + text(graph.note)
    head += struct.pack("<I", len(content)) + content
    head += struct.pack("<III", len(rows), len(inputs[0]), len(outputs[0]))
    return head + b"".join(inputs) + b"".join(outputs)


def generate():
    entries, models, uses, refused, flat = [], collections.Counter(), collections.Counter(), [], []
    for module in MODULES:
        for family in module.FAMILIES:
            rng = np.random.default_rng(zlib.crc32(family.__name__.encode()))
            for number, graph in enumerate(family(rng)):
                content = graph.bytes()
                rows = graph.rows or make_rows(rng, graph, number, 2 if number % 3 else 3)
                try:
                    outputs = run(content, graph, rows)
                except (RuntimeError, ValueError) as error:
                    refused.append((graph.name, str(error).strip().splitlines()[-1]))
                    continue
                if len(set(b"".join(outputs))) == 1:
                    flat.append(graph.name)
                entries.append(entry(graph, content, rows, outputs))
                uses.update(graph.operators_used)
                models.update(set(graph.operators_used))
    return entries, models, uses, refused, flat


def main():
    entries, models, uses, refused, flat = generate()
    archive = b"DUNGOLD1" + struct.pack("<I", len(entries)) + b"".join(entries)
    packed = gzip.compress(archive, 9, mtime=0)
    HERE.joinpath("litert.bin.gz").write_bytes(packed)
    print(f"{len(entries)} models accepted, {len(refused)} refused, {len(archive)} bytes, {len(packed)} packed")
    print("models whose outputs are all the same:", *flat)
    for name, reason in refused:
        print("refused:", name, reason, file=sys.stderr)
    readme = HERE.joinpath("README.md")
    table = ["| operator | models | uses |", "|---|---|---|"]
    table += [f"| {name} | {models[name]} | {uses[name]} |" for name in sorted(models)]
    kept = readme.read_text().split("| operator |")[0]
    readme.write_text(f"{kept}{chr(10).join(table)}\n\n{len(entries)} models in all.\n")


if __name__ == "__main__":
    main()
