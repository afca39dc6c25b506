"""Is told what happens, and answers what clients ask. See README.md."""
import base64, hmac, json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = base64.b64decode(os.environ["BARO_WEBHOOK_SECRET"].removeprefix("whsec_"))

def signed(headers, body):
    sent = headers.get("webhook-timestamp", "")
    digest = hmac.digest(SECRET, f"{headers.get('webhook-id')}.{sent}.".encode() + body, "sha256")
    fits = [hmac.compare_digest(b"v1," + base64.b64encode(digest), given.encode()) for given in headers.get("webhook-signature", "").split()]
    return any(fits) and sent.isdecimal() and abs(time.time() - int(sent)) <= 300

def answer(message):
    if "events" in message:
        print(message["events"], flush=True)
        return 200, {}
    if message["type"] == "rpc" and message["data"]["method"] == "greet":
        return 200, {"data": "Hello, " + message["data"]["data"]}
    return 404, {"error": {"code": "unknown_method", "message": "there is greet"}}

class Webhook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        status, said = answer(json.loads(body)) if signed(self.headers, body) else (401, {})
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Webhook).serve_forever()
