// Publishes a message, and asks a device something. See README.md. Java brings no JSON: a library replaces what is written by hand.
import java.net.URI;
import java.net.http.*;

class Publish {
    static String api(String question, String body) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(System.getenv("BARO_URL") + "/api/v1/" + question))
            .header("Authorization", "Bearer " + System.getenv("BARO_KEY"))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body)).build();
        return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
    }

    public static void main(String[] args) throws Exception {
        System.out.println(api("publish", "{\"channel\":\"greetings\",\"data\":\"Hello, 김 \\\"Kim\\\"\"}"));
        System.out.println(api("call", "{\"user\":\"door-7\",\"method\":\"open\",\"data\":{\"for\":\"5s\"}}"));
    }
}
