"""Processes of a comparison get numbers."""

from __future__ import annotations

import threading

import pytest
import torch

from sdeplug.cli.work.pool import processes


@pytest.mark.slow
def test_tensors_are_sent_as_numbers():
    """Else a thread here serves their memory, and complains when a process is killed."""
    with processes(2) as pool:
        total = pool.submit(float, torch.ones(3).sum()).result()
        assert not [thread for thread in threading.enumerate() if "_serve" in thread.name]
    assert total == 3.0
