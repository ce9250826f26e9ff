"""UNIDIRECTIONAL_SEQUENCE_LSTM with int16 cell state, and SVDF with int16 state."""

import numpy as np

from model import ACTIVATIONS, Graph
from weighted import dense_layer, zero_point


def lstm_layer(rng, g, x, cells, *, cell_power=-11, clip=10.0, time_major=False, weight_reach=127):
    """Appends an LSTM without peephole, projection or layer normalisation. Output: [.., .., cells]."""
    depth = x.shape[-1]
    batch = x.shape[1] if time_major else x.shape[0]
    out_scale, out_zero = float(np.float32(rng.uniform(0.006, 0.009))), int(rng.integers(-8, 9))

    def weights(columns):
        values = rng.integers(-weight_reach, weight_reach + 1, (cells, columns))
        return g.constant(values, float(rng.uniform(0.4, 2.5) / 127))

    to_gates = [weights(depth) for _ in range(4)]  # input, forget, cell, output
    recurrent = [weights(cells) for _ in range(4)]
    biases = []
    for index, w in enumerate(to_gates):
        scale = float(np.float32(w.scale) * np.float32(x.scale))
        values = rng.uniform(-1, 1, cells) + (1.0 if index == 1 else 0.0)
        biases.append(g.constant(np.rint(values / scale).astype(np.int64), scale, kind="int32"))
    state = g.tensor((batch, cells), out_scale, out_zero, variable=True)
    cell = g.tensor((batch, cells), 2.0**cell_power, 0, "int16", variable=True)
    between = [g.tensor((0,), None, 0, "float32") for _ in range(4)] + [g.tensor((0,), out_scale, out_zero)]
    none = [None]
    inputs = [x, *to_gates, *recurrent, *none * 3, *biases, *none * 2, state, cell, *none * 4]
    return g.op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [((*x.shape[:2], cells), out_scale, out_zero)], between,
                fusedActivationFunction=ACTIVATIONS["tanh"], cellClip=clip, timeMajor=time_major)


def unidirectional_sequence_lstm(rng):
    for number in range(20):
        steps, depth, cells = [(5, 4, 6), (1, 7, 5), (12, 3, 4), (3, 10, 8), (8, 1, 3), (2, 16, 9)][number % 6]
        batch = 2 if number % 7 == 6 else 1
        time_major = number % 8 == 5
        keep = number % 3 == 1
        g = Graph(f"unidirectional_sequence_lstm_{number}", "keep_state" if keep else "")
        shape = (steps, batch, depth) if time_major else (batch, steps, depth)
        x = g.input(shape, float(rng.uniform(0.01, 0.06)), zero_point(rng))
        y = lstm_layer(rng, g, x, cells, cell_power=[-11, -12, -10, -13, -11, -15, -9][number % 7],
                       clip=[10.0, 0.0, 1.5, 0.0][number % 4], time_major=time_major,
                       weight_reach=[127, 40, 127][number % 3])
        if number % 5 == 4 and batch == 1:
            y = g.op("RESHAPE", [y, g.constant([1, steps * cells], kind="int32")],
                     [((1, steps * cells), y.scale, y.zero)])
            y = dense_layer(rng, g, y, 4, zero=-7)
        g.output(y)
        if keep:
            g.rows = [[rng.integers(-128, 128, shape).astype(np.int8)] for _ in range(5)]
        yield g


def svdf(rng):
    for number in range(14):
        rank, units, memory, depth = [(1, 5, 4, 6), (2, 3, 5, 4), (1, 8, 2, 9), (4, 2, 3, 5), (1, 1, 10, 3)][number % 5]
        batch = 2 if number % 6 == 5 else 1
        filters = rank * units
        g = Graph(f"svdf_{number}", "keep_state" if number % 7 else "")
        x = g.input((batch, depth), float(rng.uniform(0.01, 0.06)), zero_point(rng))
        feature = g.constant(rng.integers(-127, 128, (filters, depth)), float(rng.uniform(0.005, 0.02)))
        time = g.constant(rng.integers(-32767, 32768, (filters, memory)), float(rng.uniform(2e-5, 6e-5)),
                          kind="int16")
        # a state scale that lets some steps saturate, and one that does not
        state_scale = x.scale * feature.scale * np.sqrt(depth) * 74 * 73 / (9000 if number % 2 else 40000)
        bias = None
        if number % 4 != 3:
            bias = g.constant(rng.integers(-60000000, 60000000, units), state_scale * time.scale, kind="int32")
        state = g.tensor((batch, memory * filters), state_scale, 0, "int16", variable=True)
        out_scale = state_scale * time.scale * 18000 * 9000 * np.sqrt(memory * rank) / 60
        g.output(g.op("SVDF", [x, feature, time, bias, state],
                      [((batch, units), out_scale, int(rng.integers(-60, 61)))], rank=rank,
                      fusedActivationFunction=ACTIVATIONS["relu"]))  # LiteRT wants RELU here, and ignores it
        g.rows = [[rng.integers(-128, 128, (batch, depth)).astype(np.int8)] for _ in range(memory + 3)]
        yield g


FAMILIES = [unidirectional_sequence_lstm, svdf]
