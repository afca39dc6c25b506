# Is told what happens, and answers what clients ask. See README.md. Ruby brings no HTTP server: a web framework replaces what is below "server".
require "json"
require "openssl"
require "socket"

SECRET = ENV.fetch("BARO_WEBHOOK_SECRET").delete_prefix("whsec_").unpack1("m")

def signed?(headers, body)
  sent = headers.fetch("webhook-timestamp", "")
  digest = OpenSSL::HMAC.digest("SHA256", SECRET, "#{headers["webhook-id"]}.#{sent}.#{body}")
  fits = headers.fetch("webhook-signature", "").split.map { |given| OpenSSL.secure_compare(given, "v1,#{[digest].pack("m0")}") }
  fits.any? && sent.match?(/\A\d+\z/) && (Time.now.to_i - sent.to_i).abs <= 300
end

def answer(message)
  warn message["events"] if message["events"]
  return 200, {} if message["events"]
  return 200, { data: "Hello, #{message["data"]["data"]}" } if message["type"] == "rpc" && message["data"]["method"] == "greet"
  [404, { error: { code: "unknown_method", message: "there is greet" } }]
end

server = TCPServer.new("127.0.0.1", ENV.fetch("PORT").to_i)
loop do
  Thread.new(server.accept) do |client|
    headers = client.gets("\r\n\r\n").to_s.scan(/^([^:\r\n]+): *([^\r\n]*)/).to_h { |name, value| [name.downcase, value] }
    body = client.read(headers["content-length"].to_i)
    status, said = signed?(headers, body) ? answer(JSON.parse(body)) : [401, {}]
    client.write "HTTP/1.1 #{status} \r\nContent-Length: #{said.to_json.bytesize}\r\nConnection: close\r\n\r\n#{said.to_json}"
    client.close
  end
end
