"""`gradcheck`: right gradients pass, a wrong one is noticed."""

import numpy as np
from tests.cli.command_line import output_of

from minibert.__main__ import main


def test_gradcheck_passes_and_notices_a_wrong_gradient(capsys, monkeypatch):
    assert "all gradients are right" in output_of(capsys, "gradcheck")
    from minibert.cli import gradcheck
    monkeypatch.setattr(gradcheck, "check_all", lambda method: iter(()))
    models = gradcheck.small_models()
    model = models[0][2]
    monkeypatch.setattr(gradcheck, "small_models", lambda: [
        ("wrong", lambda: models[0][1]() + float(np.real(model.nsp_head.bias.data[0])), model)])
    assert main(["gradcheck", "--method", "central"]) == 1
    assert "WRONG" in capsys.readouterr().out
