"""Scores a model on multiple-choice questions under a protocol.

    python scripts/evaluate.py --checkpoint=DIR --data=DIR [--protocol=original] --out=DIR

`--checkpoint` is a model directory, a Hugging Face folder, a GGUF file, or 'bundled'; a model
elsewhere is `--endpoint=URL --model=NAME`, its key in an environment variable. `--data` holds dev/
and test/; the rows of a task are `--task=arc@test:DIR`. Writes summary.json and records.jsonl, and
prints the averages; run again after it was stopped, it goes on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jax
from absl import flags
from tqdm import tqdm

from ift_jax import lookup
from ift_jax.assemble import command, model_flags, task_questions
from ift_jax.checkpoints.base import fingerprint
from ift_jax.evals import bbh, languages
from ift_jax.evals.endpoint import WAYS, EndpointScorer
from ift_jax.evals.local import Local
from ift_jax.evals.multiple_choice import MultipleChoice
from ift_jax.evals.protocols import PROTOCOLS
from ift_jax.evals.questions import Questions
from ift_jax.evals.records import write_lines
from ift_jax.evals.remote import Remote
from ift_jax.evals.report import summary_table
from ift_jax.generate.remote import Endpoint
from ift_jax.prompts import FORMATS

_MODEL = model_flags.define(required=False)
_DATA = flags.DEFINE_string("data", None, "folder with dev/ and test/, or val/ in its place")
_SPLIT = flags.DEFINE_enum("split", "test", ["test", "val"], "folder of --data that is asked")
_TASK = flags.DEFINE_string(
    "task", None, "in its place, TASK[@SPLIT]:PATH: arc, piqa, logiqa, boolq"
)
_OUT = flags.DEFINE_string("out", None, "folder for the results", required=True)
_EVAL = flags.DEFINE_string("eval", "mmlu", "what the questions are: a module of ift_jax/evals")
_PROTOCOL = flags.DEFINE_string(
    "protocol",
    None,
    f"{' or '.join(PROTOCOLS)}, by default original; {' or '.join(bbh.PROTOCOLS)} with --eval=bbh",
)
_SHOTS = flags.DEFINE_integer("shots", None, "by default the protocol's own number")
_EXEMPLARS = flags.DEFINE_string("exemplars", None, "file of worked answers, for flan_cot")
_LANGUAGE = flags.DEFINE_string(
    "language", "en", f"of the questions: {' or '.join(languages.LANGUAGES)}"
)
_LIMIT = flags.DEFINE_integer("limit", None, "only the first so many questions a subject")
_COMPLETE = flags.DEFINE_bool("require_complete", False, "refuse a part of a published set")
_FORMAT = flags.DEFINE_string("format", None, f"{' or '.join(FORMATS)}; by default the model's own")
_ENDPOINT = flags.DEFINE_string("endpoint", None, "base URL, such as http://localhost:8000/v1")
_NAME = flags.DEFINE_string("model", None, "what the endpoint calls the model")
_WAY = flags.DEFINE_enum("way", None, list(WAYS), "how the endpoint says log-likelihoods")
_KEY = flags.DEFINE_string("key_variable", "OPENAI_API_KEY", "environment variable of its key")
_PARALLEL = flags.DEFINE_integer("parallel", 8, "requests to it at once", lower_bound=1)
_PER_MINUTE = flags.DEFINE_float("per_minute", None, "requests to it a minute, at most")
_PROMPTS = flags.DEFINE_string("prompts", None, "file: also write what is asked, as JSON Lines")


def main() -> None:
    out, prompts = Path(_OUT.value), _PROMPTS.value and Path(_PROMPTS.value)
    command.check_folder("out", out)
    if (_ENDPOINT.value is None) != (_NAME.value is None):
        raise ValueError("--endpoint and --model go together: where a model is, and its name there")
    if _ENDPOINT.value and flags.FLAGS.checkpoint:
        raise ValueError("--checkpoint and --endpoint both name a model: leave one out")
    if _ENDPOINT.value and jax.process_count() > 1:
        raise ValueError("--endpoint: each process would ask all questions; run it in one")
    questions = read()
    if _COMPLETE.value:
        questions.check_complete()
    if _ENDPOINT.value:
        key = os.environ.get(_KEY.value, "")
        limits = {"parallel": _PARALLEL.value, "per_minute": _PER_MINUTE.value}
        endpoint = Endpoint(_ENDPOINT.value, _NAME.value, key=key, **limits)
        model, own_format = Remote(EndpointScorer(endpoint, _WAY.value)), "plain"
    else:
        opened, mesh = _MODEL()
        model, own_format = Local(opened.functions, opened.tokenizer, mesh), opened.prompt_format
    prompt_format = _FORMAT.value or own_format
    if isinstance(questions, bbh.Questions):
        protocol, shots = _PROTOCOL.value or "bbh_direct", _SHOTS.value
        evaluation = bbh.BBH(
            model, questions, protocol=protocol, shots=shots, prompt_format=prompt_format
        )
    else:
        evaluation = MultipleChoice(
            model,
            questions,
            protocol=_PROTOCOL.value or "original",
            shots=_SHOTS.value,
            prompt_format=prompt_format,
            language=_LANGUAGE.value,
            exemplars_file=_EXEMPLARS.value,
        )
    if jax.process_index() == 0:
        out.mkdir(parents=True, exist_ok=True)  # now, not when hours of scoring are to be written
        if prompts:
            prompts.parent.mkdir(parents=True, exist_ok=True)
            write_lines(prompts, evaluation.prompts())
        for note in evaluation.notes:
            print(f"evaluate: {note}", file=sys.stderr)
    params = None if _ENDPOINT.value else opened.load()
    weights = None if params is None else fingerprint(params)
    summary = evaluation.run(params, out, Bar(), weights=weights)
    if jax.process_index() == 0:
        print(summary_table(summary))


def read() -> Questions | bbh.Questions:
    """The questions that the options name."""
    if (_DATA.value is None) == (_TASK.value is None):
        raise ValueError("--data or --task is required: a folder with dev/ and test/, or a task")
    if _TASK.value and flags.FLAGS["split"].present:
        raise ValueError("--split is of --data; the split of a task is a part of its name")
    if _TASK.value:
        return task_questions.read_questions(_TASK.value, _LIMIT.value)
    module = lookup.find("evals", _EVAL.value, having="read_questions")
    language = languages.find(_LANGUAGE.value)
    return module.read_questions(_DATA.value, _LIMIT.value, language, _SPLIT.value)


class Bar:
    """A progress bar with the accuracy so far; answers of an earlier run take no time."""

    def __init__(self):
        self._bar = None

    def __call__(self, done: int, total: int, right: int) -> None:
        if self._bar is None:
            off = jax.process_index() != 0
            self._bar = tqdm(total=total, initial=done, unit="question", disable=off)
        self._bar.set_postfix_str(f"accuracy {right / max(done, 1):.1%}", refresh=False)
        self._bar.update(done - self._bar.n)


if __name__ == "__main__":
    command.run(main, together=True)
