// A backend in Java. See README.md. Java brings no JSON: a library replaces text() and the JSON written by hand.
import com.sun.net.httpserver.*;
import java.net.*;
import java.net.http.*;
import java.security.MessageDigest;
import java.util.*;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

class Backend {
    static String publish(String channel, String json) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(System.getenv("BARO_URL") + "/api/v1/publish"))
            .header("Authorization", "Bearer " + System.getenv("BARO_KEY")).header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString("{\"channel\":\"" + channel + "\",\"data\":\"" + json + "\"}")).build();
        return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
    }

    static boolean signed(Headers headers, byte[] body) throws Exception {
        String sent = Objects.toString(headers.getFirst("webhook-timestamp"), ""), all = Objects.toString(headers.getFirst("webhook-signature"), "");
        var mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(Base64.getDecoder().decode(System.getenv("BARO_WEBHOOK_SECRET").substring("whsec_".length())), "HmacSHA256"));
        mac.update((headers.getFirst("webhook-id") + "." + sent + ".").getBytes());
        byte[] wanted = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes();
        boolean fits = Arrays.stream(all.split(" ")).anyMatch(given -> MessageDigest.isEqual(wanted, given.getBytes()));
        return fits && sent.matches("\\d{1,18}") && Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(sent)) <= 300;
    }

    /** The text of a member, as it is written in JSON. */
    static String text(String json, String name) {
        var found = Pattern.compile("\"" + name + "\":\"((?:[^\"\\\\]|\\\\.)*+)\"").matcher(json);
        return found.find() ? found.group(1) : "";
    }

    static void answer(HttpExchange http) throws Exception {
        byte[] body = http.getRequestBody().readAllBytes();
        String message = new String(body, "UTF-8"), answer = "{}";
        int status = signed(http.getRequestHeaders(), body) ? 200 : 401;
        if (status == 200 && message.startsWith("{\"events\":")) {
            System.err.println(message);
        } else if (status == 200 && text(message, "method").equals("greet")) {
            answer = "{\"data\":" + publish("greetings", "Hello, " + text(message.substring(message.indexOf("\"method\"")), "data")) + "}";
        } else if (status == 200) {
            status = 404;
            answer = "{\"error\":{\"code\":\"unknown_method\",\"message\":\"there is greet\"}}";
        }
        http.sendResponseHeaders(status, answer.getBytes("UTF-8").length);
        http.getResponseBody().write(answer.getBytes("UTF-8"));
    }

    public static void main(String[] args) throws Exception {
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PORT"))), 0);
        server.createContext("/", http -> {
            try (http) {
                answer(http);
            } catch (Exception e) {
                e.printStackTrace();
            }
        });
        server.start();
    }
}
