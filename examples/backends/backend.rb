# A backend in Ruby. See README.md. Ruby brings no HTTP server: a web framework replaces what is below "server".
require "json"
require "net/http"
require "openssl"
require "socket"

SECRET = ENV.fetch("BARO_WEBHOOK_SECRET").delete_prefix("whsec_").unpack1("m")

def publish(channel, data)
  headers = { "Authorization" => "Bearer #{ENV.fetch("BARO_KEY")}", "Content-Type" => "application/json" }
  JSON.parse(Net::HTTP.post(URI("#{ENV.fetch("BARO_URL")}/api/v1/publish"), { channel:, data: }.to_json, headers).body)
end

def signed?(headers, body)
  sent = headers.fetch("webhook-timestamp", "")
  digest = OpenSSL::HMAC.digest("SHA256", SECRET, "#{headers["webhook-id"]}.#{sent}.#{body}")
  fits = headers.fetch("webhook-signature", "").split.map { |given| OpenSSL.secure_compare(given, "v1,#{[digest].pack("m0")}") }.any?
  fits && sent.match?(/\A\d+\z/) && (Time.now.to_i - sent.to_i).abs <= 300
end

def answer(message)
  message.fetch("events", []).each { |event| warn "#{event["type"]} #{event["data"]}" }
  return 200, {} unless message["type"] == "rpc"
  return 404, { error: { code: "unknown_method", message: "there is greet" } } unless message["data"]["method"] == "greet"
  [200, { data: publish("greetings", "Hello, #{message["data"]["data"]}") }]
end

server = TCPServer.new("127.0.0.1", ENV.fetch("PORT").to_i)
loop do
  Thread.new(server.accept) do |client|
    headers = client.gets("\r\n\r\n").to_s.scan(/^([^:\r\n]+): *([^\r\n]*)/).to_h { |name, value| [name.downcase, value] }
    body = client.read(headers["content-length"].to_i)
    status, reply = signed?(headers, body) ? answer(JSON.parse(body)) : [401, {}]
    client.write "HTTP/1.1 #{status} \r\nContent-Length: #{reply.to_json.bytesize}\r\nConnection: close\r\n\r\n#{reply.to_json}"
  ensure
    client.close
  end
end
