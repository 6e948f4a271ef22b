# A peer in a process of its own, which waits for orders while Kedge is measured: llama.cpp, the same
# built for AVX2 (KEDGE_LLAMA_AVX2: the folder of its libraries), or ik_llama.cpp with and without
# run-time repacking. No claim of its own.
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys

import common

KINDS = ("llama.cpp", "llama.cpp avx2", "ik", "ik -rtr")


class Peer:
    """Absent peers are None: Peer.open()."""

    @staticmethod
    def open(kind, model, threads, context):
        peer = Peer(kind, model, threads, context)
        answer = peer.ask(do="hello")
        if answer is None:
            print(f"  {kind} is absent: {peer.why}")
            return None
        return peer

    def __init__(self, kind, model, threads, context):
        environment = dict(os.environ)
        if kind == "llama.cpp avx2":
            folder = os.environ.get("KEDGE_LLAMA_AVX2")
            if not folder:
                self.process, self.why = None, "KEDGE_LLAMA_AVX2 names no folder of libraries"
                return
            environment["LLAMA_CPP_LIB_PATH"] = folder
        self.kind, self.why = kind, ""
        self.process = subprocess.Popen(
            [sys.executable, __file__, kind, str(model), str(threads), str(context)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment)

    def ask(self, **order):
        if self.process is None:
            return None
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)["answer"]
            self.why = line.strip()
        return None

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def _serve(kind, model, threads, context):
    if kind.startswith("ik"):
        import ik_peer
        llama = ik_peer.Llama(model, int(threads), int(context), kind == "ik -rtr")
    else:
        import llama_peer
        llama = llama_peer.Llama(model, int(threads), int(context), flash=True)
    choose = random.Random(1)
    tokens = [choose.randrange(3, llama.vocabulary) for _ in range(int(context))]
    keeps = True  # whether rows can be taken back

    def prompt(length, state=None):
        """Context of so many tokens, from a file where there is one; seconds of evaluating it."""
        llama.rollback(0)
        if state and pathlib.Path(state).is_file() and restore(state, length):
            return 0
        seconds = sum(llama.run(tokens[first:first + min(512, length - first)], want_all=False)
                      for first in range(0, length, 512))
        if state:
            keep(state, length)
        return seconds

    def handle():
        if kind.startswith("ik"):
            return llama.context, llama.save, llama.load
        api = llama_peer.llama
        return llama.context, api.llama_state_seq_save_file, api.llama_state_seq_load_file

    def keep(state, length):
        import ctypes
        context_, save, _ = handle()
        save(context_, str(state).encode(), 0, (ctypes.c_int32 * length)(*tokens[:length]), length)

    def restore(state, length):
        import ctypes
        context_, _, load = handle()
        count = ctypes.c_size_t(0)
        out = (ctypes.c_int32 * length)()
        found = load(context_, str(state).encode(), 0, out, length, ctypes.pointer(count))
        llama.position = length
        return bool(found) and count.value == length

    def passes(rows, calls):
        """Median seconds of passes with logits for every row, undone where that is possible."""
        nonlocal keeps
        times, start = [], llama.position
        for _ in range(calls):
            times.append(llama.run(tokens[:rows], want_all=True))
            if keeps:
                try:
                    llama.rollback(start)
                except AssertionError:
                    keeps = False
        return statistics.median(times)

    def decode(count):
        """Seconds of each greedy token, from where the text is."""
        times, token = [], tokens[0]
        for _ in range(count):
            times.append(llama.run([token], want_all=True))
            token = int(llama.logits(1)[-1].argmax())
        return times

    orders = {"hello": lambda: kind, "prompt": prompt, "passes": passes, "decode": decode}
    for line in sys.stdin:
        order = json.loads(line)
        answer = orders[order.pop("do")](**order)
        print(json.dumps({"answer": answer if answer is not None else True}), flush=True)
    # Libraries end in an order of their own, which is not what is measured.
    os._exit(0)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
