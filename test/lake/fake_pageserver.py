"""Stands in for the pageserver: timelines and table states over HTTP, every state kept by LSN."""
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlparse

import tables


class Timeline:
    def __init__(self, id_, name, head):
        self.id, self.name, self.head, self.states = id_, name, head, {}


class FakePageserver:
    def __init__(self):
        self.timelines, self.lock, self.delay, self.asked = {}, threading.Lock(), 0.0, []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version, disable_nagle_algorithm, wbufsize = "HTTP/1.1", True, 1 << 20

            def log_message(self, *a):
                pass

            def do_GET(self):
                u = urlparse(self.path)
                code, body = fake.answer([unquote(p) for p in u.path.split("/") if p], {k: v[0] for k, v in parse_qs(u.query).items()})
                text = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        class Server(ThreadingHTTPServer):
            request_queue_size, daemon_threads = 128, True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def timeline(self, id_, name, head=0x1000000):
        self.timelines[id_] = Timeline(id_, name, head)
        return self.timelines[id_]

    def publish(self, timeline, table):
        """What a commit does: the table's newest state counts from its LSN on."""
        with self.lock:
            timeline.head = table.lsn = max(timeline.head, table.lsn) + 64
            timeline.states.setdefault((table.database, table.schema, table.name), []).append((table.lsn, table.state()))

    def drop(self, timeline, table):
        with self.lock:
            timeline.head += 64
            timeline.states[table.database, table.schema, table.name].append((timeline.head, None))

    def at(self, timeline, key, lsn):
        found = None
        for since, state in timeline.states.get(key, []):
            if since <= lsn:
                found = state
        return found and dict(found, lsn=tables.lsn_text(lsn))

    def describe(self, t):
        return {"id": t.id, "name": t.name, "last_record_lsn": tables.lsn_text(t.head), "parent_name": None}

    def answer(self, path, query):
        missing = (404, {"error": {"code": 404, "type": "not_found", "message": "no such thing"}})
        if path == ["v1", "timelines"]:
            return 200, {"timelines": [self.describe(t) for t in self.timelines.values()]}
        t = self.timelines.get(path[2]) if path[:2] == ["v1", "timelines"] and len(path) > 2 else None
        if not t:
            return missing
        if len(path) == 3:
            return 200, self.describe(t)
        high, low = query["lsn"].split("/")
        lsn = int(high, 16) << 32 | int(low, 16)
        if path[4] == "tables":
            found = [self.at(t, key, lsn) for key in t.states]
            return 200, {"lsn": query["lsn"], "tables": [{k: s[k] for k in ("database", "schema", "table", "relid")} for s in found if s]}
        self.asked.append(lsn)
        time.sleep(self.delay)
        with self.lock:
            state = self.at(t, (query["database"], query["schema"], query["table"]), lsn)
        return (200, state) if state else missing
