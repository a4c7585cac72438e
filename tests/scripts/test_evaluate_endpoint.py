"""The evaluate script on an endpoint: stopped and run again, against the same model here."""

from __future__ import annotations

import json
import threading

import pytest

from ift_jax.evals.local import Local
from ift_jax.evals.mmlu import read_questions
from ift_jax.evals.multiple_choice import MultipleChoice
from tests.evals.test_endpoint import Manner, Model, ModelHandler
from tests.generate.server import Server

KEY = "sk-0123456789abcdef"


class Refusing(ModelHandler):
    """Refuses after a number of answers."""

    def do_POST(self):
        self.server.keys.add(self.headers["Authorization"])
        if len(self.server.seen) < self.server.limit:
            super().do_POST()
        else:
            self.answer(402, {}, f"no more credit for {KEY}".encode())


@pytest.fixture
def data(tmp_path):
    for split, count in (("dev", 1), ("test", 5)):
        (tmp_path / "data" / split).mkdir(parents=True)
        rows = "".join(f"What is {n} and {n}?,{n},{n + n},no,yes,B\n" for n in range(count))
        (tmp_path / "data" / split / f"anatomy_{split}.csv").write_text(rows)
    return tmp_path / "data"


def test_an_endpoint_is_scored_as_the_model_behind_it(run, tmp_path, data, monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)
    server, model = Server(), Model()
    server.RequestHandlerClass, server.model, server.manner = Refusing, model, Manner()
    server.limit, server.keys = 10, set()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    options = (f"--endpoint={server.url}", "--model=ours", f"--data={data}", "--shots=1")
    options += (f"--out={tmp_path}/out", "--key_variable=SOME_KEY", "--parallel=1")

    stopped = run("evaluate", *options)
    assert stopped.returncode == 1
    assert "question 2: " in stopped.stderr
    assert "402 Payment Required: no more credit for [key]\n" in stopped.stderr
    server.limit = 999
    done = run("evaluate", *options)
    server.shutdown()
    server.server_close()

    assert done.returncode == 0, done.stderr
    assert server.keys == {f"Bearer {KEY}"}
    assert len(server.seen) == 10 + 3 * 4, "two questions were known, and half of the third"
    records = [json.loads(line) for line in (tmp_path / "out" / "records.jsonl").open()]
    here = MultipleChoice(Local(model.functions, model.tokenizer), read_questions(data), shots=1)
    for record, expected in zip(records, here.records(model.params), strict=True):
        assert record["loglikelihoods"] == pytest.approx(expected["loglikelihoods"], abs=1e-4)
        assert {**record, "loglikelihoods": 0} == {**expected, "loglikelihoods": 0}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["hashes"]["weights"] is summary["hashes"]["tokenizer"] is None
    assert summary["hashes"]["endpoint"] == server.url and summary["hashes"]["model"] == "ours"
    assert summary["config"] == {"way": "echo", "likeliest": 1}
    assert summary["missing_letters"] == 0
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert KEY not in "".join([*written, done.stdout, done.stderr, stopped.stdout, stopped.stderr])
