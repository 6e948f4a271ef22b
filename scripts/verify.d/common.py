# Shared by the Python programs of scripts/verify; no claim of its own.
import importlib
import os
import pathlib
import subprocess
import sys

# Last instead of first: claims may have the names of packages (tokenizers), which packages import.
here = pathlib.Path(__file__).resolve().parent
sys.path[:] = [p for p in sys.path if pathlib.Path(p).resolve() != here] + [str(here)]

root = pathlib.Path(os.environ.get("KEDGE_ROOT", pathlib.Path(__file__).resolve().parents[2]))
model = pathlib.Path(os.environ.get("KEDGE_MODEL", root / "models/SmolLM2-135M-Instruct.Q4_1.gguf"))
program = pathlib.Path(os.environ.get("KEDGE_PROGRAM", root / "build/release/bin/kedge"))


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(0)


def need(*modules):
    """The modules, or SKIPPED with the name of the one that is absent."""
    found = []
    for name in modules:
        try:
            found.append(importlib.import_module(name))
        except ImportError as error:
            skip(f"the Python package {name} is absent ({error}); "
                 f"KEDGE_PYTHON={sys.executable} has none")
    return found


def build():
    """Builds the program where KEDGE_PROGRAM does not name one."""
    if "KEDGE_PROGRAM" not in os.environ or program == root / "build/release/bin/kedge":
        subprocess.run([root / "scripts/build", "release", "kedge_program"], check=True,
                       stdout=subprocess.DEVNULL)


def need_model():
    if not model.is_file():
        subprocess.run([root / "scripts/model"], check=True)


def kedge(*arguments):
    """Runs the program; returns what it printed."""
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"FAILED ({done.returncode}): {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


class Verdict:
    """Figures beside their targets; the exit status says whether all hold."""

    def __init__(self):
        self.ok = True

    def at_most(self, what, value, target):
        self._row(what, value, "at most", target, value <= target)

    def at_least(self, what, value, target):
        self._row(what, value, "at least", target, value >= target)

    def _row(self, what, value, relation, target, holds):
        holds = bool(holds)  # a NaN holds nothing
        self.ok = self.ok and holds
        print(f"{what}: {value:.6g}  (target: {relation} {target:.6g})  "
              f"{'ok' if holds else 'FELL SHORT'}")

    def done(self):
        sys.exit(0 if self.ok else 1)
