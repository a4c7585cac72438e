"""A run from its config: finished, resumed, resumed elsewhere, and refused."""

from __future__ import annotations

import json
import os
import shutil
import signal

import jax
import numpy as np
import pytest

from ift_jax import metrics
from ift_jax.assemble import program, training
from ift_jax.assemble.models import open_model
from ift_jax.data import rows
from ift_jax.evals.local import Local
from ift_jax.evals.mmlu import read_questions
from ift_jax.evals.multiple_choice import MultipleChoice
from ift_jax.layers.dropout import Noise
from ift_jax.sharding import make_mesh
from ift_jax.tasks.world import number_comparison, questions
from ift_jax.train.loop import Interrupted


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return tmp_path_factory.mktemp("finished") / "run"


@pytest.fixture
def run(config, finished):
    """The finished run's folder; made by whoever asks first."""
    if not finished.exists():
        training.train(config, finished)
    return finished


def final_params(workdir):
    return open_model(workdir, make_mesh("fsdp:-1")).load()


def losses(workdir):
    return [(r["step"], r["loss"]) for r in metrics.read(workdir / "metrics.jsonl")]


def test_a_run_leaves_a_model_directory(run):
    model = open_model(run, make_mesh("fsdp:-1"))
    assert model.step == 6
    assert model.prompt_format == "flan"
    assert [step for step, _ in losses(run)] == [1, 2, 3, 4, 5, 6]
    assert list(run.glob("events.out.tfevents.*"))


def test_a_run_s_manifest_says_what_it_was_trained_on(run, config):
    manifest = json.loads((run / training.MANIFEST).read_text())
    tasks = [entry["task"] for entry in config.mixture.entries]
    assert [task["task"] for task in manifest["tasks"]] == tasks
    assert all(task["licence"] and task["rows_sha256"] for task in manifest["tasks"])
    assert sum(task["examples"] for task in manifest["tasks"]) > 0


def test_training_leaves_out_what_touches_an_evaluation(config, tmp_path):
    """One of a file's two rows holds a question of the folder."""
    question = "Which of the seven old bridges of Koenigsberg still crosses the river Pregel today?"
    for split in ("dev", "test"):
        (tmp_path / "mmlu" / split).mkdir(parents=True)
        line = f'"{question}",one,two,three,four,B\n'
        (tmp_path / "mmlu" / split / f"bridges_{split}.csv").write_text(line)
    asked = [{"instruction": text, "input": "", "output": "two"} for text in (question, "Count.")]
    (tmp_path / "rows.json").write_text(json.dumps(asked))
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.mixture.entries = ({"task": f"alpaca:{tmp_path / 'rows.json'}"},)
        config.data.clean_of = str(tmp_path / "mmlu")
        config.data.dir = str(tmp_path / "data")
    mesh = make_mesh(config.mesh)
    source, _ = training.build_rows(config, training.open_base(config, mesh), mesh)
    (task,) = source.manifest["tasks"]
    assert task["rows"] == 1 and task["rejected_rows"]["count"] == 1
    assert "bridges/0" in task["rejected_rows"]["first"][0]


def test_a_resumed_run_is_bitwise_the_same(run, config, tmp_path):
    stopped = tmp_path / "stopped"
    shutil.copytree(run, stopped)
    shutil.rmtree(stopped / "checkpoints" / "6")
    training.train(config, stopped)
    whole, resumed = final_params(run), final_params(stopped)
    for name in whole:
        np.testing.assert_array_equal(resumed[name], whole[name], err_msg=name)
    assert losses(stopped) == losses(run)


def test_a_run_resumes_on_another_mesh(run, config, tmp_path):
    """Sums in another order: equal to f32 rounding, six steps on."""
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    shutil.rmtree(moved / "checkpoints" / "6")
    config.mesh = "data:2,fsdp:2,tensor:2"
    training.train(config, moved)
    whole, resumed = final_params(run), final_params(moved)
    for name in whole:
        np.testing.assert_allclose(resumed[name], whole[name], atol=2e-4, err_msg=name)
    np.testing.assert_allclose(losses(moved), losses(run), atol=1e-4)


@pytest.mark.slow
def test_stopped_anywhere_it_reads_on_where_it_was(config, tmp_path, monkeypatch):
    """Two stops by SIGTERM, then another mesh, on which 40 examples would be other rows."""
    config.batch.rows, config.batch.examples = None, 40
    mesh, elsewhere = make_mesh(config.mesh), make_mesh("fsdp:2,tensor:4")
    base = training.open_base(config, mesh)
    source, rows_per_step = training.build_rows(config, base, mesh)
    assert training.build_rows(config, base, elsewhere)[1] != rows_per_step
    expected = [rows.batch_hash(batch) for batch in rows.batches(source, rows_per_step, 0, 6)]

    read = []
    to_device = rows.to_device

    def note(batch, *args):
        read.append(rows.batch_hash(batch))
        if len(read) in (1, 4):
            os.kill(os.getpid(), signal.SIGTERM)
        return to_device(batch, *args)

    monkeypatch.setattr(rows, "to_device", note)
    for step in (1, 4):
        with pytest.raises(Interrupted) as stopped:
            training.train(config, tmp_path)
        assert stopped.value.step == step
    config.mesh = "fsdp:2,tensor:4"
    training.train(config, tmp_path)
    assert read == expected
    assert [step for step, _ in losses(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_changed_data_are_refused(run, config, tmp_path, monkeypatch):
    """The config is the same, but what its words refer to isn't."""
    stopped = tmp_path / "stopped"
    shutil.copytree(run, stopped)
    shutil.rmtree(stopped / "checkpoints" / "6")
    monkeypatch.setattr(number_comparison, "TEMPLATES", number_comparison.TEMPLATES[:-1])
    with pytest.raises(ValueError, match=r"stopped was trained on the rows 48x128-\w+, and now"):
        training.train(config, stopped)


def test_the_config_reaches_the_model_and_the_step(config, tmp_path, monkeypatch):
    class Reached(Exception):
        pass

    def note(functions, optimizer, **options):
        raise Reached(functions.config, options)

    monkeypatch.setattr(program, "make_train_step", note)
    config.mesh, config.batch.micro_steps, config.seed = "fsdp:4,tensor:2", 2, 5
    config.model.remat, config.model.scan, config.model.dtype = "dots", False, "bfloat16"
    with pytest.raises(Reached) as reached:
        training.train(config, tmp_path / "a")
    model, options = reached.value.args
    assert (model.remat, model.scan, model.dtype, model.dropout) == ("dots", False, "bfloat16", 0.1)
    assert (options["micro_steps"], options["seed"], options["noise"]) == (2, 5, Noise)
    assert options["shardings"].params["embed.w"].mesh.shape["fsdp"] == 4

    config.model.dropout = 0.0
    with pytest.raises(Reached) as reached:
        training.train(config, tmp_path / "b")
    assert reached.value.args[1]["noise"] is None


def test_a_folder_of_another_config_is_refused(run, config):
    config.optimizer.lr = 0.5
    with pytest.raises(ValueError, match=r"another config(.|\n)*optimizer.lr: 0.5.*0.001"):
        training.train(config, run)


def test_how_a_run_is_logged_may_change(run, config):
    config.log_every = 2
    assert training.train(config, run).step == 6


def test_a_run_goes_on_after_its_data_were_moved(config, tmp_path):
    asked = [{"instruction": f"Count to {n}.", "input": "", "output": f"{n}"} for n in range(20)]
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "rows.json").write_text(json.dumps(asked))
    with config.unlocked():
        config.mixture.entries = ({"task": "alpaca:rows.json"},)
        config.mixture.root = str(tmp_path / "here")
        config.data.dir = str(tmp_path / "data")
    assert training.train(config, tmp_path / "run").step == 6
    (tmp_path / "here").rename(tmp_path / "there")
    config.mixture.root = str(tmp_path / "there")
    assert training.train(config, tmp_path / "run").step == 6
    asked[0]["output"] = "0!"
    (tmp_path / "there" / "rows.json").write_text(json.dumps(asked))
    with pytest.raises(ValueError, match="a dataset, a template, a prompt format or this package"):
        training.train(config, tmp_path / "run")


def test_examples_a_step_become_rows_in_expectation(config, capsys):
    mesh = make_mesh("fsdp:-1")
    config.batch.rows = None
    config.batch.examples = 64
    base = training.open_base(config, mesh)
    source, rows_per_step = training.build_rows(config, base, mesh)
    assert rows_per_step % jax.device_count() == 0
    # Rounded to whole rows on every device.
    assert abs(rows_per_step * source.examples_per_row - 64) <= 4 * source.examples_per_row
    assert f"64 examples a step are {rows_per_step} rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": -1}, "config.steps = -1"),
        ({"mesh": "fsdp:3"}, "mesh 'fsdp:3' needs 3 devices, and there are 8"),
        ({"batch.rows": 6}, "6 rows do not divide"),
        ({"data.length": 4096}, "rows of 4096 tokens are longer than the model's context of 1024"),
        ({"mixture.entries": ()}, "at least one task"),
        ({"mixture.entries": ({"task": "world.true_fals"},)}, "Did you mean 'world.true_false'"),
        ({"mixture.entries": ({"tsk": "x"},)}, r"entries\[0\].*tsk.*An entry has task, weight"),
        ({"model.init": "llama:7c"}, "no size '7c'.*There are: tiny, 7b"),
        ({"model.init": "t5:tiny"}, "encoder_length = None, and the t5 family has an encoder: say"),
        ({"data.encoder_length": 64}, "encoder_length = 64, and the llama family has no encoder"),
        ({"model.tokenizer": None}, "name a tokenizer's file in config.model.tokenizer"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(config, tmp_path, change, message):
    with config.ignore_type():
        config.update_from_flattened_dict(change)
    with pytest.raises(ValueError, match=message):
        training.train(config, tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_an_encoder_decoder_trains_and_is_scored(config, tmp_path):
    config.model.init = "t5:tiny"
    config.mixture.entries = ({"task": "world.number_comparison"},)
    config.data.encoder_length, config.data.length = 96, 32
    config.optimizer.lr = 3e-3
    config.steps = 8
    training.train(config, tmp_path / "run")
    first, *_, last = [loss for _, loss in losses(tmp_path / "run")]
    assert last < first - 1

    questions.write_mmlu(tmp_path / "mmlu")
    for file in sorted((tmp_path / "mmlu" / "test").iterdir())[1:]:
        file.unlink()
    mesh = make_mesh("fsdp:4,tensor:2")
    model = open_model(tmp_path / "run", mesh)
    evaluation = MultipleChoice(
        Local(model.functions, model.tokenizer, mesh),
        read_questions(tmp_path / "mmlu", limit=1),
        prompt_format="flan",
    )
    record, *_ = evaluation.records(model.load())
    assert record["choice"] in "ABCD" and record["tokens"] == [1, 1, 1, 1]
    assert np.unique(record["loglikelihoods"]).size == 4


def test_a_tokenizer_larger_than_the_embedding_is_refused(tokenizer_file):
    with pytest.raises(ValueError, match="600") as error:
        training.random_model(
            "llama:tiny", tokenizer_file, make_mesh("fsdp:-1"), seed=0, switches={"V": 512}
        )
    assert "512" in str(error.value)


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        ({"entries": ({"task": "t", "capp": 3},)}, r"entries\[0\].*'capp'\. Did you mean 'cap'"),
        ({"entries": ({"cap": 3},)}, r"entries\[0\].* names no task"),
        ({"groups": (("a", 1.0), ("b", 2.0), ("a", 3.0))}, "names a group twice"),
    ],
)
def test_a_mistyped_mixture_is_refused(config, mixture, message):
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.mixture.update(mixture)
    with pytest.raises(ValueError, match=message):
        training.read_mixture(config)
