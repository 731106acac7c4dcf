"""Processes of their own for tests that kill them: forked from a server that has imported torch, which takes longer
than what they do."""

from __future__ import annotations

import multiprocessing
import os

SERVER = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
SERVER.set_forkserver_preload(
    ["nnlab.sweep.grid", "nnlab.cli.application", "nnlab.recipe.driver", "tensorboard.compat.proto.event_pb2"]
)
