# ik_llama.cpp through ik-llama-cpp-python's low-level interface, as llama_peer.py has llama.cpp. Its
# library carries the same names as llama.cpp's, so a process has one of them (peer.py). No claim of
# its own.
import ctypes
import time

import common

(numpy,) = common.need("numpy")
try:
    from ik_llama_cpp import _ctypes_api as ik
    from ik_llama_cpp import _lib_loader
except (ImportError, FileNotFoundError, AttributeError) as error:
    common.skip(f"the Python package ik_llama_cpp is absent ({error})")


def _function(name, result, *arguments):
    library = getattr(ik, "_lib", None) or _lib_loader.load_shared_library()
    function = getattr(library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function


_LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_silent = _LOG(lambda level, text, data: None)


class Llama:
    def __init__(self, path, threads, context, repack):
        _function("llama_log_set", None, _LOG, ctypes.c_void_p)(_silent, None)
        ik.llama_backend_init()
        options = ik.llama_model_default_params()
        options.repack_tensors = repack
        options.use_mmap = not repack
        self.model = ik.llama_model_load_from_file(str(path).encode(), options)
        if not self.model:
            common.skip(f"ik_llama.cpp cannot load {path}")
        options = ik.llama_context_default_params()
        options.n_ctx = context
        options.n_batch = options.n_ubatch = 512
        options.n_threads = options.n_threads_batch = threads
        options.flash_attn = True
        options.type_k = options.type_v = 1  # F16
        self.context = ik.llama_init_from_model(self.model, options)
        self.vocabulary = ik.llama_vocab_n_tokens(ik.llama_model_get_vocab(self.model))
        self.batch = ik.llama_batch_init(512, 0, 1)
        self.remove = _function("llama_kv_cache_seq_rm", ctypes.c_bool, ctypes.c_void_p,
                                ctypes.c_int32, ctypes.c_int32, ctypes.c_int32)
        self.save = _function("llama_state_seq_save_file", ctypes.c_size_t, ctypes.c_void_p,
                              ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_size_t)
        self.load = _function("llama_state_seq_load_file", ctypes.c_size_t, ctypes.c_void_p,
                              ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_size_t,
                              ctypes.POINTER(ctypes.c_size_t))
        self.position = 0

    def rollback(self, position):
        if position == 0:
            ik.llama_kv_cache_clear(self.context)
        else:
            assert self.remove(self.context, 0, position, -1)
        self.position = position

    def run(self, tokens, want_all):
        """Evaluates tokens after what is there; seconds of the pass."""
        assert len(tokens) <= 512
        b = self.batch
        b.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            b.token[i] = token
            b.pos[i] = self.position + i
            b.n_seq_id[i] = 1
            b.seq_id[i][0] = 0
            b.logits[i] = want_all or i + 1 == len(tokens)
        start = time.perf_counter()
        status = ik.llama_decode(self.context, b)
        seconds = time.perf_counter() - start
        assert status == 0, f"llama_decode returned {status}"
        self.position += len(tokens)
        return seconds

    def logits(self, rows):
        pointer = ik.llama_get_logits_ith(self.context, rows - 1)
        pointer = ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float))
        return numpy.ctypeslib.as_array(pointer, shape=(1, self.vocabulary))
