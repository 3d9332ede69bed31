"""A server on this machine that speaks enough of the Hub's API for its client to upload, list and download files.

Files lie in memory. Private repositories are seen by whoever sends the token, as on the Hub.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "-".join(("hf", "a-secret", "that-nobody-may-see"))


@dataclass
class Repository:
    kind: str
    private: bool
    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b"* text\n"})
    commits: int = 0

    @property
    def sha(self) -> str:
        return hashlib.sha256(f"{self.commits}".encode()).hexdigest()[:40]


@dataclass
class Hub:
    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    stated_sizes: dict[str, int] = field(default_factory=dict)
    """Sizes of files that the server lies about."""

    def uploads(self) -> list[str]:
        """The requests that change something."""
        return [each for each in self.requests if not each.startswith(("GET", "HEAD"))]


@contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.answer(b"")

    do_HEAD = do_GET  # noqa: N815 - the library's names

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    do_PUT = do_POST  # noqa: N815

    def answer(self, body: bytes) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        self.hub.bodies.append(body)
        for pattern, method in (
            (r"/api/repos/create", self.create),
            (r"/api/validate-yaml", self.validate),
            (r"/api/(models|datasets)/([^/]+/[^/]+)/preupload/main", self.preupload),
            (r"/api/(models|datasets)/([^/]+/[^/]+)/commit/main", self.commit),
            (r"/api/(models|datasets)/([^/]+/[^/]+)/tree/\w+", self.tree),
            (r"/api/(models|datasets)/([^/]+/[^/]+?)(?:/revision/\w+)?", self.info),
            (r"/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", self.batch),
            (r"/objects/(\w+)", self.put),
            (r"/(datasets/)?([^/]+/[^/]+)/resolve/(\w+)/(.+)", self.resolve),
        ):
            if found := re.fullmatch(pattern, path):
                method(body, *found.groups())
                return
        self.send({"error": "no such page"}, 404)

    def send(self, content: Any, code: int = 200, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def known(self, kind: str | None, name: str) -> Repository | None:
        """The repository if it is there and this user may see it; otherwise an error is sent."""
        found = self.hub.repositories.get(name)
        wanted = "dataset" if kind and kind.startswith("dataset") else "model"
        logged_in = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if found is None or found.kind != wanted or (found.private and not logged_in):
            self.send({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
            return None
        return found

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.send({"error": f"Invalid token {self.headers.get('Authorization')}"}, 401)
            return
        name = f"{asked['organization']}/{asked['name']}"
        private = asked.get("visibility", "private" if asked.get("private") else "public") == "private"
        self.hub.repositories[name] = Repository(asked["type"], private)
        self.send({"url": f"{self.hub.url}/{name}", "id": name})

    def validate(self, body: bytes) -> None:
        asked = json.loads(body)
        head = head_of(asked["content"].encode())
        errors = [] if head.get("license") != "unheard-of" else [{"message": '"license" must be one of [...]'}]
        self.send({"errors": errors, "warnings": []}, 400 if errors else 200)

    def preupload(self, body: bytes, kind: str, name: str) -> None:
        if self.known(kind, name):
            modes = [
                {
                    "path": each["path"],
                    "shouldIgnore": False,
                    "uploadMode": "lfs" if _is_large(each["path"]) else "regular",
                }
                for each in json.loads(body)["files"]
            ]
            self.send({"files": modes})

    def batch(self, body: bytes, kind: str | None, name: str) -> None:
        if self.known(kind, name):
            wanted = json.loads(body)["objects"]
            self.send(
                {
                    "transfer": "basic",
                    "objects": [
                        each | {"actions": {"upload": {"href": f"{self.hub.url}/objects/{each['oid']}"}}}
                        for each in wanted
                    ],
                }
            )

    def put(self, body: bytes, oid: str) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.objects[oid] = body
        self.send({})

    def commit(self, body: bytes, kind: str, name: str) -> None:
        repository = self.known(kind, name)
        if repository is None:
            return
        lines = [json.loads(line) for line in body.splitlines()]
        parent = lines[0]["value"].get("parentCommit")
        if parent not in (None, repository.sha):
            self.send({"error": "The repository has changed"}, 412)
            return
        for line in lines[1:]:
            value = line["value"]
            match line["key"]:
                case "file":
                    repository.files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    repository.files[value["path"]] = self.hub.objects[value["oid"]]
                case "deletedFile":
                    del repository.files[value["path"]]
        repository.commits += 1
        self.send({"commitUrl": f"{self.hub.url}/{name}/commit/{repository.sha}", "commitOid": repository.sha})

    def info(self, body: bytes, kind: str, name: str) -> None:
        repository = self.known(kind, name)
        if repository is not None:
            sizes = {path: len(content) for path, content in repository.files.items()} | self.hub.stated_sizes
            siblings = [{"rfilename": path, "size": sizes[path]} for path in repository.files]
            facts = {"id": name, "sha": repository.sha, "private": repository.private, "siblings": siblings}
            self.send(facts | {"downloads": 0, "likes": 0, "tags": []})

    def tree(self, body: bytes, kind: str, name: str) -> None:
        repository = self.known(kind, name)
        if repository is not None:
            self.send(
                [
                    {
                        "type": "file",
                        "path": path,
                        "size": len(content),
                        "oid": hashlib.sha256(content).hexdigest()[:40],
                    }
                    for path, content in repository.files.items()
                ]
            )

    def resolve(self, body: bytes, kind: str | None, name: str, revision: str, path: str) -> None:
        repository = self.known(kind, name)
        if repository is None:
            return
        content = repository.files.get(path)
        if content is None:
            self.send({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
            return
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        self.send(content, ETag=etag, X_Repo_Commit=repository.sha, Accept_Ranges="none")


def head_of(card: bytes) -> Any:
    """What the Hub reads of a card."""
    return yaml.safe_load(card.decode().split("---\n")[1])


def _is_large(path: str) -> bool:
    return path.endswith((".safetensors", ".gz"))
