# A measurement in pieces of less than a minute, for machines that others use too. Every piece's
# figures go into $KEDGE_RESULTS/NAME.json (default build/verify) with the time and the commit;
# what is there of this commit is not measured again. KEDGE_PIECES=n measures at most n that are missing,
# KEDGE_ONLY=text those whose name contains it, KEDGE_FRESH=1 measures again. No claim of its own.
import datetime
import json
import os
import pathlib
import subprocess
import sys

import common


class Pieces:
    def __init__(self, name):
        folder = pathlib.Path(os.environ.get("KEDGE_RESULTS", common.root / "build/verify"))
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}.json"
        self.kept = json.loads(self.path.read_text()) if self.path.is_file() else {}
        self.left = int(os.environ.get("KEDGE_PIECES", 1000))
        self.only = os.environ.get("KEDGE_ONLY", "")
        self.fresh = os.environ.get("KEDGE_FRESH", "0") == "1"
        self.missing = []
        self.commit = subprocess.run(["git", "-C", common.root, "describe", "--always", "--dirty"],
                                     capture_output=True, text=True).stdout.strip()
        self.kept = {name: piece for name, piece in self.kept.items() if piece["commit"] == self.commit}

    def take(self, name, measure):
        """What measure() returned, now or in an earlier run; None while it is missing."""
        if self.only in name and self.left > 0 and (self.fresh or name not in self.kept):
            self.left -= 1
            print(f"  measuring {name}", flush=True)
            self.kept[name] = {"commit": self.commit, "when": datetime.datetime.now().isoformat(timespec="minutes"),
                               "figures": measure()}
            self.path.write_text(json.dumps(self.kept, indent=1))
        if name not in self.kept:
            if self.only in name:
                self.missing.append(name)
            return None
        return self.kept[name]["figures"] if self.only in name else None

    def done(self, verdict):
        if self.missing:
            print(f"not measured yet: {', '.join(self.missing)}; run again")
            sys.exit(0 if verdict.ok else 1)
        verdict.done()
