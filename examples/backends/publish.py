"""Publishes a message, and asks a device something. See README.md."""
import json, os, urllib.error, urllib.request

def api(question, body):
    request = urllib.request.Request(os.environ["BARO_URL"] + "/api/v1/" + question, json.dumps(body).encode())
    request.add_header("Authorization", "Bearer " + os.environ["BARO_KEY"])
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        return json.load(refused)

print(api("publish", {"channel": "greetings", "data": "Hello, 김 \"Kim\""}))
print(api("call", {"user": "door-7", "method": "open", "data": {"for": "5s"}}))
