#!/usr/bin/env python3
# usage: greedy_texts.py PROGRAM MODEL > tests/golden/prompts/smollm2_greedy.txt
# What SmolLM2-135M-Instruct says to the prompts of prompts/speculation.jsonl, plain and greedy, 128
# tokens each: texts for tests of drafters that need no model. A line is: category, number of the
# prompt's tokens, these, number of the text's tokens, these.
import json
import pathlib
import subprocess
import sys

program, model = sys.argv[1:]
prompts = pathlib.Path(__file__).parent / "prompts" / "speculation.jsonl"
for line in prompts.read_text().splitlines():
    entry = json.loads(line)
    prompt = entry["turns"][0] if "turns" in entry else entry["messages"][0]["content"]
    run = subprocess.run(
        [program, "generate", "--model", model, "--prompt", prompt, "--chat",
         "--max-tokens", "128", "--json", "-"],
        check=True, capture_output=True, text=True)
    said = json.loads(run.stdout)
    ids, text = said["prompt_token_ids"], said["token_ids"]
    print(entry["category"], len(ids), *ids, len(text), *text)
