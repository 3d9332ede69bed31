"""Serves the page: on one address, without uploads, links to elsewhere or a history of what was shown."""

import errno
import ipaddress
import logging
import socket
import threading
from pathlib import Path

import fastapi
import gradio as gr
import uvicorn

from occfer.errors import DataError

NO_UPLOADS_BYTES = 0
STYLE = Path(__file__).with_name("demo.css")
THEME = gr.themes.Base(font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace"))
ONLY_FROM_HERE = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
"""What a browser may load and contact: Gradio needs its inline scripts, and nothing goes elsewhere."""
PATIENCE_S = 30
"""How long the end waits for the server at most: while an answer is made, it hardly gets a turn."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on an address; port 0 takes a free one. Raises DataError if that cannot be."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        what = "is taken by another program; choose another with --port" if taken else f"cannot be used: {error}"
        raise DataError(f"port {port} of {host} {what}") from error


def address_of(listener: socket.socket) -> str:
    """What to type into a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(page: gr.Blocks, listener: socket.socket) -> None:
    """Serves a page until the program is interrupted.

    The server runs in a thread: in the main one it would handle signals itself, and end with a traceback for each
    page that is still open.
    """
    server, ended = _server_of(page), threading.Event()

    def run() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    try:
        ended.wait()  # a thread whose `join` a signal interrupts counts as ended from then on
    finally:
        for name in ("uvicorn.error", "asyncio"):  # open pages are cut off, as was asked for
            logging.getLogger(name).setLevel(logging.CRITICAL)
        server.should_exit = server.force_exit = True
        ended.wait(PATIENCE_S)


def _server_of(page: gr.Blocks) -> uvicorn.Server:
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        app, page, "/", run_history=False, max_file_size=NO_UPLOADS_BYTES, enable_monitoring=False, ssr_mode=False,
        mcp_server=False, show_error=False, footer_links=[], css=STYLE.read_text(encoding="utf-8"), theme=THEME,
    )  # fmt: skip
    headers = [("Content-Security-Policy", ONLY_FROM_HERE)]
    # uvicorn's own set-up would close every handler of logging; absl's, which MediaPipe brings, closes its stream
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", log_config=None, headers=headers))
