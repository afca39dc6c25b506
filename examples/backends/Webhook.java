// Is told what happens, and answers what clients ask. See README.md. Java brings no JSON: a library replaces the pattern.
import com.sun.net.httpserver.*;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.security.MessageDigest;
import java.util.*;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

class Webhook {
    static boolean signed(Mac mac, Headers headers, byte[] body) {
        String sent = "" + headers.getFirst("webhook-timestamp"), all = "" + headers.getFirst("webhook-signature");
        mac.update((headers.getFirst("webhook-id") + "." + sent + ".").getBytes());
        byte[] wanted = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes();
        boolean fits = Arrays.stream(all.split(" ")).anyMatch(given -> MessageDigest.isEqual(wanted, given.getBytes()));
        return fits && sent.matches("\\d{1,18}") && Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(sent)) <= 300;
    }

    static void answer(Mac mac, HttpExchange http) throws IOException {
        byte[] body = http.getRequestBody().readAllBytes();
        String message = new String(body, "UTF-8");
        var greet = Pattern.compile("\"method\":\"greet\",\"data\":\"((?:[^\"\\\\]|\\\\.)*+)\"").matcher(message);
        if (!signed(mac, http.getRequestHeaders(), body)) reply(http, 401, "{}");
        else if (message.startsWith("{\"events\":")) reply(http, 200, message); // what is answered to events is not read
        else if (greet.find()) reply(http, 200, "{\"data\":\"Hello, " + greet.group(1) + "\"}");
        else reply(http, 404, "{\"error\":{\"code\":\"unknown_method\",\"message\":\"there is greet\"}}");
    }

    static void reply(HttpExchange http, int status, String text) throws IOException {
        System.out.println(text);
        http.sendResponseHeaders(status, text.getBytes("UTF-8").length);
        http.getResponseBody().write(text.getBytes("UTF-8"));
        http.close();
    }

    public static void main(String[] args) throws Exception {
        var mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(Base64.getDecoder().decode(System.getenv("BARO_WEBHOOK_SECRET").substring("whsec_".length())), "HmacSHA256"));
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PORT"))), 0);
        server.createContext("/", http -> answer(mac, http)); // one request after another, and so one mac will do
        server.start();
    }
}
