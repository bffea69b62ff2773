"""Webhooks, received with the libraries that their receivers use, and with what docs/events.md shows."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue

import pytest
import requests
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

PAGE = Path(__file__).parents[2] / "docs" / "events.md"


@pytest.fixture
def receiver():
    """A receiver of webhooks: its URL, and what came, as headers and body."""
    came: Queue = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.put(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", came
    server.shutdown()


def recipe():
    """The function of the page that verifies."""
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    names = {}
    exec(compile(snippet, str(PAGE), "exec"), names)
    return names["verify"]


def test_webhooks_are_what_the_libraries_of_their_receivers_take(server, main, receiver):
    url, came = receiver
    sinks = f"{server.endpoint}/onward/v1/repositories/{main.repo_id}/sinks"
    made = requests.post(sinks, json={"url": url, "branches": ["main"]}, auth=server.basic, timeout=30)
    made.raise_for_status()
    secret = made.json()["secret"]
    main.object("größe").upload("1")
    commit = main.commit("größe", metadata={"topic": "orders"}).get_commit()
    headers, body = came.get(timeout=60)
    event = from_http_event(HTTPMessage(headers=headers, body=body))
    assert (event.get_type(), event.get_source()) == ("onward.commit", f"/repositories/{main.repo_id}")
    assert event.get_id() == headers["webhook-id"]
    data = event.get_data()
    assert data["commit"] == commit.id
    assert (data["message"], data["metadata"]) == ("größe", {"topic": "orders"})
    Webhook(secret).verify(body, headers)
    verify = recipe()
    verify(secret, headers, body)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers)
    for wrong in [headers | {"webhook-timestamp": "1"}, headers | {"webhook-id": "another"}]:
        with pytest.raises(ValueError):
            verify(secret, wrong, body)
