"""The self-instruct script against an endpoint, killed and run again."""

from __future__ import annotations

import json
import threading

import pytest

from ift_jax.tasks import alpaca
from tests.generate.server import Server

TASKS = " Add {n} and {n} and {n}.\nInput 4: (none)\nOutput 4: {n}\n\nInstruction 5: Why?\nInput 5:"


@pytest.fixture
def seeds(tmp_path):
    path = tmp_path / "seeds.jsonl"
    task = {"instances": [{"input": "", "output": "Yes."}], "is_classification": False}
    path.write_text("".join(json.dumps({"instruction": f"Do {n}.", **task}) + "\n" for n in "abc"))
    return f"--seeds={path}"


def test_tasks_of_an_endpoint(run, tmp_path, seeds):
    texts = [TASKS.format(n=n) for n in ("one", "two", "two", "three")]
    answers = [
        (200, {}, {"choices": [{"text": text, "finish_reason": "length"}]}) for text in texts
    ]
    server = Server(*answers[:3], (400, {}, b"no"), *answers[3:])
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    options = (seeds, f"--out={tmp_path}/out", f"--endpoint={server.url}", "--model=ours")
    options += ("--batch=2", "--count=3", "--max_tokens=99", "--parallel=1")

    refused = run("self_instruct", *options)
    assert refused.returncode == 1
    assert refused.stderr.endswith(
        f"self_instruct: {server.url}/completions: 400 Bad Request: no\n"
    )
    server.script = [*answers[2:]]
    done = run("self_instruct", *options)
    server.shutdown()
    server.server_close()

    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "tasks: 8 candidates: 4 cut off, 3 kept, 1 similar\n"
        f"3 rows of 4 requests in {tmp_path}/out/kept.json\n"
    )
    rows = alpaca.rows("train", f"{tmp_path}/out/kept.json")
    assert [row["output"] for row in rows] == ["one", "two", "three"]
    assert {asked["max_tokens"] for *_, asked in server.seen} == {99}


def test_a_model_is_named_once(run, tmp_path, seeds):
    options = ("--endpoint=http://x", "--checkpoint=bundled", f"--out={tmp_path}/out")
    done = run("self_instruct", seeds, *options)
    assert done.returncode == 1
    assert done.stderr.startswith("self_instruct: --checkpoint and --endpoint both name a model")
    assert not (tmp_path / "out").exists()
