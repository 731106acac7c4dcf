"""The server of `nnlab play`: one page, and one websocket for each page that is open.

Starlette with uvicorn: two small packages without a compiled part of their own, loaded in a tenth of a second; what
is left to write is this file. Only the machine itself is listened on, and only pages with the token in their address
are answered, so that no other page in the browser can steer the playground.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nnlab.errors import UserError
from nnlab.play.lessons import lessons
from nnlab.play.playground import Compose
from nnlab.play.session import Session

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.websockets import WebSocket

PAGE = Path(__file__).parent / "page"
HOST = "127.0.0.1"
LARGEST = 20_000_000  # bytes of a dropped file


def serve(compose: Compose, overrides: Mapping[str, str], port: int | None, announce: Any) -> None:
    """Answer pages until the process is interrupted.

    Args:
        compose: from overrides to a checked config.
        overrides: settings that every page begins with.
        port: where to listen; None: any free port.
        announce: called with the page's address once it can be opened.

    Raises:
        UserError: the port is taken, or the packages of the extra `play` are missing.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise UserError('`nnlab play` needs more packages: pip install "nnlab[play]"') from error
    listening = _listen(port)
    token = secrets.token_urlsafe(16)
    # uvicorn ends on SIGTERM by raising it again, which would leave the folder behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="nnlab-play-") as folder:
        application = make_application(compose, overrides, token, Path(folder))
        settings = uvicorn.Config(application, log_level="warning", ws_max_size=LARGEST, timeout_graceful_shutdown=1)
        announce(f"http://{HOST}:{listening.getsockname()[1]}/?token={token}")
        uvicorn.Server(settings).run(sockets=[listening])


def _listen(port: int | None) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port or 0))
        listening.listen(128)  # before the address is told: a page that comes at once waits instead of being refused
    except (OSError, OverflowError) as error:
        listening.close()
        raise UserError(f"port {port} cannot be used: {error}; `--port` takes another one") from error
    return listening


def make_application(compose: Compose, overrides: Mapping[str, str], token: str, folder: Path) -> Starlette:
    """The application; `folder` takes the files that are dropped on a page."""
    from starlette.applications import Starlette
    from starlette.responses import FileResponse, PlainTextResponse, Response
    from starlette.routing import Route, WebSocketRoute

    async def page(request: Any) -> Response:
        if not secrets.compare_digest(request.query_params.get("token", ""), token):
            return PlainTextResponse("The address that `nnlab play` printed has a token; open that one.", 403)
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-store"})

    async def part(request: Any) -> Response:
        name = PurePosixPath(request.path_params["name"]).name
        file = PAGE / name
        if not file.is_file():
            return PlainTextResponse("no such file", 404)
        return FileResponse(file, headers={"Cache-Control": "no-cache"})

    async def talk(socket: WebSocket) -> None:
        origin = urlsplit(socket.headers.get("origin", "")).netloc
        known = secrets.compare_digest(socket.query_params.get("token", ""), token)
        if not known or origin != socket.headers.get("host"):
            await socket.close(1008)
            return
        await socket.accept()
        await _converse(socket, compose, overrides, folder)

    routes = [Route("/", page), Route("/page/{name}", part), WebSocketRoute("/talk", talk)]
    return Starlette(routes=routes)


async def _converse(socket: WebSocket, compose: Compose, overrides: Mapping[str, str], folder: Path) -> None:
    """Carry messages between a page and its session until one of them goes."""
    from starlette.websockets import WebSocketDisconnect

    loop = asyncio.get_running_loop()
    outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def send(message: dict[str, Any]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(outgoing.put_nowait, message)

    async def forward() -> None:
        while True:
            await socket.send_text(json.dumps(await outgoing.get(), allow_nan=False))

    send({"type": "lessons", "lessons": lessons()})
    session = await asyncio.to_thread(Session, compose, overrides, send, folder)
    forwarding = asyncio.create_task(forward())
    try:
        while True:
            message = json.loads(await socket.receive_text())
            if isinstance(message, dict):
                session.ask(message)
    except (WebSocketDisconnect, ValueError):
        pass
    finally:
        forwarding.cancel()
        await asyncio.to_thread(session.close)
