"""A backend in Python. See README.md."""
import base64, hashlib, hmac, json, os, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = base64.b64decode(os.environ["BARO_WEBHOOK_SECRET"].removeprefix("whsec_"))

def publish(channel, data):
    request = urllib.request.Request(os.environ["BARO_URL"] + "/api/v1/publish", json.dumps({"channel": channel, "data": data}).encode())
    request.add_header("Authorization", "Bearer " + os.environ["BARO_KEY"])
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)

def signed(headers, body):
    sent = headers.get("webhook-timestamp", "")
    wanted = hmac.digest(SECRET, f"{headers.get('webhook-id')}.{sent}.".encode() + body, hashlib.sha256)
    wanted = b"v1," + base64.b64encode(wanted)
    fits = any([hmac.compare_digest(wanted, given.encode()) for given in headers.get("webhook-signature", "").split()])
    return fits and sent.isdecimal() and abs(time.time() - int(sent)) <= 300

class Webhook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        status, answer = self.answer(json.loads(body)) if signed(self.headers, body) else (401, {})
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def answer(self, message):
        for event in message.get("events", []):
            print(event["type"], event["data"], flush=True)
        if message.get("type") == "rpc":
            if message["data"]["method"] != "greet":
                return 404, {"error": {"code": "unknown_method", "message": "there is greet"}}
            return 200, {"data": publish("greetings", "Hello, " + message["data"]["data"])}
        return 200, {}

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Webhook).serve_forever()
