# Publishes a message, and asks a device something. See README.md.
require "json"
require "net/http"

def api(question, body)
  url = URI("#{ENV.fetch("BARO_URL")}/api/v1/#{question}")
  headers = { "Authorization" => "Bearer #{ENV.fetch("BARO_KEY")}", "Content-Type" => "application/json" }
  JSON.parse(Net::HTTP.post(url, body.to_json, headers).body)
end

p api("publish", { channel: "greetings", data: "Hello, 김 \"Kim\"" })
p api("call", { user: "door-7", method: "open", data: { for: "5s" } })
