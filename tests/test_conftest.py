"""What the tests share holds for whatever a test calls."""

import logging.config
import sys

import absl.logging
import pytest


def test_a_library_that_sets_up_logging_does_not_close_the_captured_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    stream = absl.logging.get_absl_handler().python_handler.stream
    assert stream is sys.__stderr__ and stream is not None
    logging.config.dictConfig({"version": 1})  # closes every handler, as MLflow's and uvicorn's do
    assert not stream.closed
    with capsys.disabled():
        assert not sys.stderr.closed
