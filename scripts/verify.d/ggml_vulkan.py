# ggml's Vulkan backend, as scripts/verify compares with it: graphs of one operator, several times over, on the
# first device that GGML_VK_VISIBLE_DEVICES names. Its libraries come from KEDGE_GGML_VULKAN, a folder with
# libggml-base.so and libggml-vulkan.so (a llama.cpp built with GGML_VULKAN=ON). No claim of its own.
import ctypes
import os
import pathlib
import time

import common

(numpy,) = common.need("numpy")
os.environ.setdefault("GGML_VK_VISIBLE_DEVICES", "0")  # it skips software devices otherwise

F32, F16, Q4_0, Q4_1, Q8_0 = 0, 1, 2, 3, 8



class _Init(ctypes.Structure):
    _fields_ = [("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool)]


def folder():
    path = os.environ.get("KEDGE_GGML_VULKAN")
    if not path:
        common.skip("KEDGE_GGML_VULKAN names no folder with ggml's Vulkan libraries")
    if not (pathlib.Path(path) / "libggml-vulkan.so").is_file():
        common.skip(f"{path} has no libggml-vulkan.so")
    return pathlib.Path(path)


class Ggml:
    def __init__(self):
        where = folder()
        try:
            # By their versioned names: these are what they ask each other for.
            load = lambda name: ctypes.CDLL(str(next(iter(sorted(where.glob(f"{name}.so*"), key=lambda p: -len(p.name))))),
                                            mode=ctypes.RTLD_GLOBAL)
            self.base, self.vk = load("libggml-base"), load("libggml-vulkan")
        except OSError as error:
            common.skip(f"ggml's Vulkan libraries do not load: {error}")
        p, i, f = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
        for name, result, *arguments in (
                ("ggml_init", p, _Init), ("ggml_free", None, p),
                ("ggml_new_tensor_4d", p, p, ctypes.c_int, i, i, i, i),
                ("ggml_mul_mat", p, p, p, p), ("ggml_nbytes", ctypes.c_size_t, p),
                ("ggml_flash_attn_ext", p, p, p, p, p, p, f, f, f),
                ("ggml_gated_delta_net", p, *[p] * 7, i),
                ("ggml_new_graph_custom", p, p, ctypes.c_size_t, ctypes.c_bool),
                ("ggml_build_forward_expand", None, p, p),
                ("ggml_backend_alloc_ctx_tensors", p, p, p), ("ggml_backend_buffer_free", None, p),
                ("ggml_backend_tensor_set", None, p, p, ctypes.c_size_t, ctypes.c_size_t),
                ("ggml_backend_tensor_get", None, p, p, ctypes.c_size_t, ctypes.c_size_t),
                ("ggml_backend_graph_compute", ctypes.c_int, p, p)):
            function = getattr(self.base, name)
            function.restype, function.argtypes = result, arguments
        self.vk.ggml_backend_vk_get_device_count.restype = ctypes.c_int
        if self.vk.ggml_backend_vk_get_device_count() < 1:
            common.skip("ggml finds no Vulkan device")
        text = ctypes.create_string_buffer(256)
        self.vk.ggml_backend_vk_get_device_description(0, text, ctypes.c_size_t(256))
        self.device = text.value.decode()
        self.vk.ggml_backend_vk_init.restype, self.vk.ggml_backend_vk_init.argtypes = p, [ctypes.c_size_t]
        self.backend = self.vk.ggml_backend_vk_init(0)


class Calls:
    """The same operator `count` times in one graph, each call with an output of its own."""

    def __init__(self, ggml, count, make):
        self.ggml, self.count = ggml, count
        base = ggml.base
        self.context = base.ggml_init(_Init(16 << 20, None, True))
        self.inputs = []
        outputs = make(self)
        self.graph = base.ggml_new_graph_custom(self.context, 4 * count + 64, False)
        for output in outputs:
            base.ggml_build_forward_expand(self.graph, output)
        self.buffer = base.ggml_backend_alloc_ctx_tensors(self.context, ggml.backend)
        assert self.buffer, "ggml allocated nothing"
        generator = numpy.random.default_rng(0)
        for tensor, kind, fill in self.inputs:
            size = base.ggml_nbytes(tensor)
            if kind == F32:
                data = (0.1 * generator.standard_normal(size // 4) if fill is None
                        else numpy.full(size // 4, fill)).astype(numpy.float32)
            elif kind == F16:
                data = (generator.standard_normal(size // 2) if fill is None
                        else numpy.full(size // 2, fill)).astype(numpy.float16)
            else:  # bytes that are finite scales as well as any quanta
                data = generator.integers(0x20, 0x2c, size, dtype=numpy.uint8)
            base.ggml_backend_tensor_set(tensor, data.ctypes.data, 0, size)
        self.microseconds()  # compiles, touches memory
        values = numpy.zeros(16, numpy.float32)
        base.ggml_backend_tensor_get(outputs[-1], values.ctypes.data, 0, values.nbytes)
        assert numpy.isfinite(values).all() and numpy.abs(values).max() > 0, "ggml computed nothing"

    def tensor(self, kind, *extents, fill=None):
        t = self.ggml.base.ggml_new_tensor_4d(self.context, kind, *(list(extents) + [1] * (4 - len(extents))))
        self.inputs.append((t, kind, fill))
        return t

    def microseconds(self):
        """Of one call, in one run of all."""
        start = time.perf_counter()
        status = self.ggml.base.ggml_backend_graph_compute(self.ggml.backend, self.graph)
        seconds = time.perf_counter() - start
        assert status == 0, f"ggml_backend_graph_compute returned {status}"
        return 1e6 * seconds / self.count

    def close(self):
        self.ggml.base.ggml_backend_buffer_free(self.buffer)
        self.ggml.base.ggml_free(self.context)


def product(ggml, count, kind, outputs, width, rows):
    return Calls(ggml, count, lambda c: [
        ggml.base.ggml_mul_mat(c.context, w, x) for w, x in
        [(c.tensor(kind, width, outputs), c.tensor(F32, width, rows)) for _ in range(count)]])


def attention(ggml, count, heads, kv_heads, size, keys, rows):
    def make(c):
        mask = c.tensor(F16, keys, (rows + 63) // 64 * 64, fill=0)
        return [ggml.base.ggml_flash_attn_ext(
            c.context, c.tensor(F32, size, rows, heads), c.tensor(F16, size, keys, kv_heads),
            c.tensor(F16, size, keys, kv_heads), mask, size ** -0.5, 0.0, 0.0) for _ in range(count)]
    return Calls(ggml, count, make)


def gated_delta(ggml, count, heads, key_heads, size, rows, keep):
    def make(c):
        q, k = c.tensor(F32, size, key_heads, rows), c.tensor(F32, size, key_heads, rows)
        v = c.tensor(F32, size, heads, rows)
        g, beta = c.tensor(F32, 1, heads, rows, fill=-0.1), c.tensor(F32, 1, heads, rows, fill=0.5)
        return [ggml.base.ggml_gated_delta_net(c.context, q, k, v, g, beta, c.tensor(F32, size, size, heads, 1), keep)
                for _ in range(count)]
    return Calls(ggml, count, make)
