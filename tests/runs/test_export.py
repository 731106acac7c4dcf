"""Exported files repeat the run, loaded by their own runtime, for any number of examples."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import nnlab
from nnlab.commands.export import main
from nnlab.errors import UserError
from nnlab.runs.deployed import deployed, graph_columns
from nnlab.runs.export import FORMATS, TOLERANCE, example_inputs, export
from nnlab.runs.model_card import escape
from nnlab.runs.networks import Networks, load_networks

RUNS = {
    "variances": ["data=diabetes", "loss=gaussian_nll", "regularizer=[ensemble]", "regularizer.ensemble.members=2"],
    "ensemble": ["data=breast_cancer", "regularizer=[ensemble,dropout]", "regularizer.ensemble.members=3"],
    "convnet": ["data=digits", "architecture=convnet", "data.limit=200"],
    "realmlp": [
        *["data=diabetes", "architecture=realmlp", "architecture.widths=[8]", "initialization=data_dependent"],
        *["data/preprocessing=robust", "loss=squared_error", "loss.clamp=true"],
    ],
    "batch ensemble": [
        *["data=breast_cancer", "data/preprocessing=quantile", "data.preprocessing.quantiles=50"],
        *["regularizer=[batch_ensemble,dropout]", "regularizer.batch_ensemble.heads=3"],
    ],
    "piecewise linear": ["data=breast_cancer", "data/preprocessing=piecewise_linear"],
}


def trained(folder: Path, *overrides: str) -> Networks:
    result = nnlab.train(*overrides, "trainer.epochs=1", "callbacks=[checkpoint]", f"output_dir={folder}")
    return load_networks(result.directory, "cpu")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    return trained(tmp_path_factory.mktemp("export"), *RUNS["ensemble"])


@pytest.mark.parametrize("name", [name for name in RUNS if name != "ensemble"])  # which is the next test's
@pytest.mark.slow
def test_a_file_repeats_the_run_in_its_own_runtime(name: str, tmp_path: Path) -> None:
    networks = trained(tmp_path, *RUNS[name])
    for kind in FORMATS if name == "variances" else ("onnx",):
        found = export(networks, kind, tmp_path / kind)
        assert (found.real, found.rows, found.path) == (True, 256, tmp_path / kind / FORMATS[kind])
        assert found.difference <= TOLERANCE
        assert "Loaded again and compared" in found.card.read_text()


def test_the_number_of_examples_of_a_graph_is_free(networks: Networks, tmp_path: Path) -> None:
    import onnxruntime

    found = export(networks, "onnx", tmp_path)
    assert (found.real, found.rows, found.agrees) == (True, 256, True)
    session = onnxruntime.InferenceSession(str(found.path), providers=["CPUExecutionProvider"])
    raw, _ = example_inputs(networks)
    expected = nnlab.load(networks.directory).predict_proba(raw)
    for count in (1, 2, 250):
        given = session.run(None, {"inputs": raw[:count].numpy()})[0]
        np.testing.assert_allclose(given, expected[:count], atol=TOLERANCE)


def test_a_wrong_file_is_noticed(networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(module: torch.nn.Module, _inputs: torch.Tensor) -> bytes:
        import io

        buffer = io.BytesIO()
        torch.save({name: value * 1.001 for name, value in module.state_dict().items()}, buffer)
        return buffer.getvalue()

    monkeypatch.setattr("nnlab.runs.export._state_dict", broken)
    assert not export(networks, "state_dict", tmp_path).agrees


def test_weights_hold_arrays_only(networks: Networks, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    state = load_file(export(networks, "safetensors", tmp_path).path)
    expected = deployed(networks).state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], value) for name, value in expected.items())


def test_the_command_prints_the_difference_and_answers_mistakes(
    networks: Networks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(networks.directory)
    assert main([run, "format=state_dict", f"out={tmp_path}"]) == 0
    assert "compared on 256 examples of its data: largest difference" in capsys.readouterr().out
    with pytest.raises(UserError, match="no value `onx`; did you mean `onnx`"):
        main([run, "format=onx"])
    with pytest.raises(UserError, match=r"there is no key `fromat` .*; did you mean `format`"):
        main([run, "fromat=onnx"])


def test_a_moved_run_without_its_data_is_compared_on_drawn_numbers(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    random = np.random.default_rng(0)
    np.savez(path, x=random.normal(size=(60, 3)), y=np.arange(60) % 2)
    few = ("trainer.epochs=1", "callbacks=[checkpoint]", f"output_dir={tmp_path}")
    result = nnlab.train("data=arrays", f"data.path={path}", "data.target=y", *few)
    moved = shutil.move(result.directory, tmp_path / "elsewhere")
    path.unlink()
    found = export(load_networks(moved, "cpu"), "state_dict")
    assert not found.real
    assert found.agrees


def test_the_card_says_what_goes_in_and_escapes_names_of_others(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    inputs = np.random.default_rng(0).normal(size=(60, 3))
    np.savez(path, x=inputs, y=np.where(inputs[:, 0] > 0, "<b>a|b</b>", "`c`"))
    networks = trained(tmp_path, "data=arrays", f"data.path={path}", "data.target=y")
    card = export(networks, "state_dict").card.read_text()
    assert len(graph_columns(networks.fitted.pipeline)) == 3
    assert "<b>" not in card
    assert r"probabilities of the classes &lt;b&gt;a\|b&lt;/b&gt;, \`c\`" in card
    assert "| 2 | 2 | a number |" in card
    assert "| test |" in card
    assert str(tmp_path) not in card.replace(f"data.path={path}", "")
    assert escape("a\n# b") == r"a \# b"


def test_columns_of_every_kind_are_encoded_inside_the_graph(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    lines = ["num,year,many,truth,when,y"]
    for _ in range(400):
        number, year, level = random.normal(), random.integers(1990, 2024), min(int(random.exponential(20)), 120)
        cells = ["" if random.random() < 0.1 else f"{number:.4f}", year, "" if random.random() < 0.1 else f"L{level}"]
        when = "" if random.random() < 0.1 else f"2020-{random.integers(1, 13):02d}-{random.integers(1, 28):02d}"
        lines.append(
            ",".join(map(str, [*cells, random.choice(["yes", "no", ""]), when, f"{number * 3 + year / 10:.3f}"]))
        )
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    given = ("data=table", f"data.path={tmp_path}/table.csv", "data.target=y", "data.references=[]")
    networks = trained(tmp_path, *given, "loss=squared_error")
    inputs, raw = example_inputs(networks)
    assert inputs.isnan().any()
    assert inputs.shape == (256, len(graph_columns(networks.fitted.pipeline)))
    module = deployed(networks)
    encoded = networks.fitted.pipeline.rule.encode(raw).inputs
    with torch.no_grad():
        torch.testing.assert_close(module.encode(inputs), encoded, rtol=0, atol=0)
    found = export(networks, "onnx", tmp_path)
    assert (found.real, found.agrees) == (True, True)
