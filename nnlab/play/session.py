"""One page's playground: a thread that trains, hears what the page asks for, and tells it what there is to draw."""

from __future__ import annotations

import queue
import re
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from nnlab.errors import UserError
from nnlab.play import knobs
from nnlab.play.backward import as_plain, backward_pass
from nnlab.play.drawing import placed, received
from nnlab.play.picture import SHOWN, as_bytes, frame, loss_plane, scene
from nnlab.play.playground import Compose, Playground

PAUSE = 1 / 30  # seconds between two frames
LOOK = 2.0  # seconds between two looks of the diagnosis
POINTS = 400  # losses that one frame carries at most

Message = dict[str, Any]


class Session:
    """Trains until it is closed.

    Args:
        compose: from overrides to a checked config.
        overrides: settings to begin with.
        send: takes a message for the page; called from this session's thread.
        folder: takes the files that are dropped on the page.
    """

    def __init__(
        self, compose: Compose, overrides: Mapping[str, str], send: Callable[[Message], None], folder: Path
    ) -> None:
        self._send = send
        self._folder = folder
        self._asked: queue.Queue[Message] = queue.Queue()
        self._playground = Playground(compose, overrides)
        self._running = False
        self._steps = 4  # in one frame, found while training
        self._looked = 0.0
        self._drawn = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="playground")
        self._thread.start()

    def ask(self, message: Message) -> None:
        """Hand a page's message to the session."""
        if message.get("do") == "drawn":
            self._drawn.set()
        else:
            self._asked.put(message)

    def close(self) -> None:
        """End the session's thread."""
        self._asked.put({"do": "close"})
        self._drawn.set()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        self._scene()
        self._frame([])
        while True:
            try:
                message = self._asked.get(block=not self._running)
            except queue.Empty:
                message = None
            while message is not None:
                if message.get("do") == "close":
                    return
                self._hear(message)
                message = self._asked.get_nowait() if not self._asked.empty() else None
            if self._running:
                self._train()

    def _hear(self, message: Message) -> None:
        """Do what the page asks for, or say why that cannot be."""
        try:
            action = getattr(self, f"_do_{message.get('do')}", None)
            if action is None:
                raise UserError(f"there is no action `{message.get('do')}`")
            action(message)
        except UserError as error:
            self._running = False
            self._send({"type": "running", "running": False})
            self._settings()
            own = rf"{re.escape(str(self._folder))}[/\\][^/\\]+[/\\]"  # of a dropped file the page knows the name
            self._send({"type": "error", "text": re.sub(own, "", str(error))})

    def _do_run(self, message: Message) -> None:
        self._running = not self._playground.finished
        self._send({"type": "running", "running": self._running})

    def _do_pause(self, message: Message) -> None:
        self._running = False
        self._send({"type": "running", "running": False})
        self._look(always=True)

    def _do_step(self, message: Message) -> None:
        self._running = False
        self._frame(self._advance(1))
        self._look(always=True)

    def _do_epoch(self, message: Message) -> None:
        per = self._playground.trainer.steps_per_epoch
        self._frame(self._advance(per - self._playground.step % per))
        self._look(always=True)

    def _do_reset(self, message: Message) -> None:
        self._playground.reset()
        self._scene()
        self._frame([])

    def _do_set(self, message: Message) -> None:
        self._playground.change({str(k): None if v is None else str(v) for k, v in message["changes"].items()})
        self._scene()
        self._frame([])

    def _do_compare(self, message: Message) -> None:
        self._playground.compare(message.get("key"), [str(value) for value in message.get("values", [])])
        self._scene()
        self._frame([])

    def _do_backward(self, message: Message) -> None:
        trainer = self._playground.trainer
        split = trainer.members[0].dataset.train
        example = int(message.get("example", 0)) % len(split)
        network = trainer.stack.member(0).eval()
        steps, command = backward_pass(network, trainer.loss, split.inputs[example], split.targets[example])
        self._send(
            {
                "type": "backward",
                "example": example,
                "inputs": [float(f"{v:.4g}") for v in split.inputs[example].flatten()[:SHOWN].tolist()],
                "steps": [as_plain(step) for step in steps],
                "command": command,
            }
        )

    def _do_draw(self, message: Message) -> None:
        dataset = self._playground.dataset
        if len(dataset.input_shape) != 3 or dataset.input_shape[0] != 1 or dataset.pipeline is None:
            raise UserError("only data sets of gray images can be drawn")
        image = placed(received(str(message["pixels"])), *dataset.input_shape[1:])
        with torch.no_grad():
            encoded = dataset.pipeline.transform.apply(image[None, None]).float()
            chances = [
                self._playground.trainer.loss.prediction(network(encoded))[0]
                for _, network in self._playground.networks()
            ]
        shown = [[float(f"{v:.4g}") for v in row.tolist()] for row in chances]
        self._send({"type": "drawing", "image": as_bytes(image), "predictions": shown})

    def _do_file(self, message: Message) -> None:
        name = Path(str(message["name"])).name or "table.csv"
        own = Path(tempfile.mkdtemp(dir=self._folder)) / name
        own.write_text(str(message["text"]), encoding="utf-8")
        self._playground.use_file(own, str(message["target"]))
        self._scene()
        self._frame([])

    def _do_lesson(self, message: Message) -> None:
        settings = {str(key): str(value) for key, value in message["settings"].items()}
        compared = message.get("compare")
        self._running = False
        self._send({"type": "running", "running": False})
        self._playground.begin(settings, (compared["key"], compared["values"]) if compared else None)
        self._scene()
        self._frame([])

    def _do_plane(self, message: Message) -> None:
        self._send({"type": "plane", **loss_plane(self._playground, [int(i) for i in message["pair"]])})

    def _train(self) -> None:
        """Steps for one frame, as many as fit into its time."""
        started = time.perf_counter()
        points = self._advance(self._steps)
        took = time.perf_counter() - started
        self._steps = max(1, min(2000, int(self._steps * min(4.0, max(0.25, PAUSE / max(took, 1e-6) / 2)))))
        self._drawn.wait(timeout=1.0)
        self._frame(points)
        self._look()
        if self._playground.finished:
            self._running = False
            self._send({"type": "running", "running": False})
            self._look(always=True)
        rest = PAUSE - (time.perf_counter() - started)
        if rest > 0:
            time.sleep(rest)

    def _advance(self, steps: int) -> list[list[float | None]]:
        """Train, and give the losses as rows of a step and the loss of every network, thinned out evenly."""
        before = self._playground.step
        losses = self._playground.advance(steps)
        every = max(1, len(losses) // POINTS)
        rows = range(len(losses) - 1, -1, -every)
        return [
            [before + row + 1, *(None if value != value else float(f"{value:.5g}") for value in losses[row].tolist())]
            for row in sorted(rows)
        ]

    def _scene(self) -> None:
        self._send({"type": "scene", **scene(self._playground)})
        self._settings()

    def _settings(self) -> None:
        shown = self._playground
        self._send(
            {
                "type": "settings",
                "overrides": shown.overrides,
                "knobs": knobs.knobs(shown),
                "notes": shown.notes,
                "command": shown.command(),
            }
        )

    def _frame(self, points: list[list[float | None]]) -> None:
        self._drawn.clear()
        self._send({"type": "frame", "losses": points, **frame(self._playground)})

    def _look(self, always: bool = False) -> None:
        """Let the diagnosis say what it is certain of, every few seconds."""
        now = time.monotonic()
        if not always and now - self._looked < LOOK:
            return
        self._looked = now
        self._send({"type": "findings", "findings": self._playground.findings()})
