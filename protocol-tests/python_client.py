"""python-socketio against the daemon and the support server; python.test.mjs starts it, and speaks to it as another player.

    python_client.py gateway URL TRANSPORTS KEY
    python_client.py support URL TRANSPORTS
"""

import queue
import sys

import socketio

DEADLINE = 10
BINARIES = {
    "one": b"\x00\x01\xfe\xff",
    "list": [b"", b"\x07" * 70_000],
    "nested": {"deep": [None, b"\x04"]},
    "none": None,
}


class Client:
    """What each namespace is told, until someone takes it."""

    def __init__(self, url, transports, namespaces=("/",), **options):
        self.sio = socketio.Client(reconnection=False)
        self.told = {namespace: queue.Queue() for namespace in namespaces}
        for namespace, told in self.told.items():
            self.sio.on("*", lambda event, *args, told=told: told.put((event, *args)), namespace=namespace)
        self.sio.connect(url, transports=transports, namespaces=list(namespaces), wait_timeout=DEADLINE, **options)
        assert self.sio.transport() == transports[-1], self.sio.transport()

    def next(self, wanted, namespace="/"):
        """The arguments of the next event, which must be this one."""
        event, *args = self.told[namespace].get(timeout=DEADLINE)
        assert event == wanted, (event, args)
        return args

    def leave(self):
        """Takes leave, on a WebSocket. On long-polling the client may forget to say goodbye while it still waits for the answer to
        what it said last, and then waits for its GET, until the next ping; there the end of this program has to do."""
        if self.sio.transport() == "websocket":
            self.sio.disconnect()

    def call(self, event, data=None, namespace="/"):
        return self.sio.call(event, data, namespace=namespace, timeout=DEADLINE)


def gateway(url, transports, key):
    client = Client(url, transports, headers={"X-Api-Key": key})
    [activities] = client.next("activities")
    [other] = activities
    assert other["state"] == "PLAYING" and other["game_id"] == 42, other
    answer = client.call("set-activity", {"state": "PLAYING", "game_id": 7})
    assert answer["status"] == "ok", answer
    mine = answer["activity"]
    assert mine["game_id"] == 7 and mine["socket_id"] == client.sio.get_sid(), mine
    [heard] = client.next("activity")
    assert heard.pop("seq") > 0 and heard == mine, heard
    # The other has seen it, and does something else.
    [other] = client.next("activity")
    assert other["state"] == "BUSY", other
    assert len(client.call("get-activities")) == 2
    client.leave()


def support(url, transports):
    namespaces = ("/", "/foo", "/token")
    client = Client(url, transports, namespaces, auth={"token": "secret"}, headers={"X-Suite": "python"})
    sio = client.sio
    assert len({sio.get_sid(namespace) for namespace in namespaces}) == 3
    for namespace in namespaces:
        assert client.call("echo", namespace, namespace) == namespace
        handshake = client.call("getHandshake", namespace=namespace)
        assert handshake["auth"] == {"token": "secret"} and handshake["headers"]["x-suite"] == "python", handshake
        # Several arguments are a tuple here.
        sio.emit("echo", (1, "é😀", None, {"a": [b"\x00", {"b": b""}]}), namespace=namespace)
        assert client.next("echo", namespace) == [1, "é😀", None, {"a": [b"\x00", {"b": b""}]}]
        sio.emit("getBinary", namespace=namespace)
        assert client.next("takeBinary", namespace) == [BINARIES, 1, b"last"]
        assert tuple(client.call("getAckBinary", namespace=namespace)) == (BINARIES, 1, b"last")
        assert client.call("checkBinary", BINARIES, namespace) is True
        assert client.call("empty ack", namespace=namespace) is None
    # The server asks.
    sio.on("question", lambda text, attachment: (text, attachment, {"fine": True}), namespace="/foo")
    sio.emit("ask", 10_000, namespace="/foo")
    assert client.next("answered", "/foo") == ["how are you?", b"?", {"fine": True}]
    # Out of one namespace, the others stay.
    left = queue.Queue()
    sio.on("disconnect", left.put, namespace="/foo")
    sio.emit("requestDisconnect", namespace="/foo")
    assert left.get(timeout=DEADLINE) == sio.reason.SERVER_DISCONNECT
    assert client.call("echo", "still here") == "still here"
    client.leave()
    for namespace, message in {"/no": "Auth failed (custom namespace)", "/unknown": "Invalid namespace"}.items():
        refused = socketio.Client(reconnection=False)
        told = queue.Queue()
        refused.on("connect_error", told.put, namespace=namespace)
        refused.connect(url, transports=transports, namespaces=[namespace], wait=False)
        assert told.get(timeout=DEADLINE) == {"message": message}


if __name__ == "__main__":
    target, url, transports, *key = sys.argv[1:]
    {"gateway": gateway, "support": support}[target](url, transports.split(","), *key)
