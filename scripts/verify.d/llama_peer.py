# llama.cpp through llama-cpp-python's low-level interface, as scripts/verify compares with it: one
# sequence, logits for any row, and undoing rows. No claim of its own.
import ctypes
import time

import common

(llama, numpy) = common.need("llama_cpp", "numpy")


@llama.llama_log_callback
def _silent(level, text, data):
    pass


class Llama:
    def __init__(self, path, threads, context, flash, cache="f16"):
        llama.llama_log_set(_silent, ctypes.c_void_p(0))
        llama.llama_backend_init()
        self.model = llama.llama_model_load_from_file(str(path).encode(),
                                                      llama.llama_model_default_params())
        if not self.model:
            common.skip(f"llama.cpp cannot load {path}")
        options = llama.llama_context_default_params()
        options.n_ctx = context
        options.n_batch = options.n_ubatch = 512
        options.n_threads = options.n_threads_batch = threads
        options.flash_attn_type = 1 if flash else 0
        options.type_k = options.type_v = {"f32": 0, "f16": 1}[cache]  # ggml's numbers
        self.context = llama.llama_init_from_model(self.model, options)
        self.vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.batch = llama.llama_batch_init(512, 0, 1)
        self.position = 0

    def __del__(self):
        if getattr(self, "context", None):
            llama.llama_batch_free(self.batch)
            llama.llama_free(self.context)
            llama.llama_model_free(self.model)

    def tokens(self, text):
        data = text.encode()
        out = (llama.llama_token * (len(data) + 8))()
        count = llama.llama_tokenize(llama.llama_model_get_vocab(self.model), data, len(data), out,
                                     len(out), False, False)
        return list(out[:count])

    def rollback(self, position):
        memory = llama.llama_get_memory(self.context)
        assert llama.llama_memory_seq_rm(memory, 0, position, -1)
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
        status = llama.llama_decode(self.context, b)
        llama.llama_synchronize(self.context)
        seconds = time.perf_counter() - start
        assert status == 0, f"llama_decode returned {status}"
        self.position += len(tokens)
        return seconds

    def logits(self, rows):
        """Of the last run, which wanted `rows` rows."""
        pointer = llama.llama_get_logits(self.context)
        return numpy.ctypeslib.as_array(pointer, shape=(rows, self.vocabulary))
