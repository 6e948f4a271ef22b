# ggml's own gated delta rule through the libraries of llama-cpp-python, as scripts/verify compares with
# it: a graph of layers, each with a state of its own. No claim of its own.
import ctypes
import pathlib
import time

import common

(llama, numpy) = common.need("llama_cpp", "numpy")


class _Init(ctypes.Structure):
    _fields_ = [("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p),
                ("no_alloc", ctypes.c_bool)]


def _libraries():
    folder = pathlib.Path(llama.__file__).parent / "lib"
    try:
        base = ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
        cpu = ctypes.CDLL(str(folder / "libggml-cpu.so"), mode=ctypes.RTLD_GLOBAL)
        base.ggml_gated_delta_net
    except (OSError, AttributeError) as error:
        common.skip(f"this llama-cpp-python has no gated delta operator to call ({error})")
    return base, cpu


def _function(library, name, result, *arguments):
    function = getattr(library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function


class Delta:
    """`layers` calls with `rows` rows each that keep `keep` states, as ggml.h of June 2026 has it:
    ggml_gated_delta_net(context, q, k, v, g, beta, state, K)."""

    def __init__(self, rows, keep, layers, heads, key_heads, size, threads):
        base, cpu = _libraries()
        pointer, integer = ctypes.c_void_p, ctypes.c_int64
        create = _function(base, "ggml_init", pointer, _Init)
        new = _function(base, "ggml_new_tensor_4d", pointer, pointer, ctypes.c_int, *[integer] * 4)
        delta = _function(base, "ggml_gated_delta_net", pointer, *[pointer] * 7, integer)
        data = _function(base, "ggml_get_data_f32", ctypes.POINTER(ctypes.c_float), pointer)
        count = _function(base, "ggml_nelements", integer, pointer)
        graph = _function(base, "ggml_new_graph_custom", pointer, pointer, ctypes.c_size_t,
                          ctypes.c_bool)
        expand = _function(base, "ggml_build_forward_expand", None, pointer, pointer)
        self._compute = _function(cpu, "ggml_graph_compute_with_ctx", ctypes.c_int, pointer,
                                  pointer, ctypes.c_int)
        self._free = _function(base, "ggml_free", None, pointer)
        self.layers, self.threads = layers, threads
        state = heads * size * size * 4
        memory = layers * (state * (1 + keep) + rows * heads * size * 4) + \
            rows * (2 * key_heads + 2 * heads) * size * 4 + (64 << 20)
        self._context = create(_Init(memory, None, False))
        generator = numpy.random.default_rng(0)

        def tensor(*extents, fill=None):
            t = new(self._context, 0, *(list(extents) + [1] * (4 - len(extents))))
            values = numpy.ctypeslib.as_array(data(t), shape=(count(t),))
            values[:] = numpy.resize(0.1 * generator.standard_normal(4096), values.size) \
                if fill is None else fill
            return t

        q, k = tensor(size, key_heads, rows), tensor(size, key_heads, rows)
        v = tensor(size, heads, rows)
        g, beta = tensor(1, heads, rows, fill=-0.1), tensor(1, heads, rows, fill=0.5)
        self._graph = graph(self._context, 256, False)
        self._outputs = []
        for _ in range(layers):
            output = delta(self._context, q, k, v, g, beta, tensor(size, size, heads, 1), keep)
            expand(self._graph, output)
            self._outputs.append((output, rows * heads * size))
        self._data = data
        self.microseconds()  # touches all memory
        for output, values in self._outputs:
            found = numpy.ctypeslib.as_array(data(output), shape=(values,))
            assert numpy.isfinite(found).all() and numpy.abs(found).max() > 0, "ggml computed nothing"

    def __del__(self):
        if getattr(self, "_context", None):
            self._free(self._context)

    def microseconds(self):
        """Of one layer, in one run of all."""
        start = time.perf_counter()
        status = self._compute(self._context, self._graph, self.threads)
        seconds = time.perf_counter() - start
        assert status == 0, f"ggml_graph_compute returned {status}"
        return 1e6 * seconds / self.layers
