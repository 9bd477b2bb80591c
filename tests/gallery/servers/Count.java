// How many requests this process has answered, and the SHA-256 of the body; what it has seen is kept for the next.
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

public class Count {
    private static final List<String> seen = new ArrayList<>();

    private static byte[] answer(String url, byte[] body) throws Exception {
        if (!url.equals("/")) seen.add(url);  // that of the warm-up
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(body);
        return (String.join(" ", seen) + " " + HexFormat.of().formatHex(hash)).getBytes();
    }

    public static void main(String[] arguments) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", exchange -> {
            try (exchange) {
                byte[] answer = answer(exchange.getRequestURI().toString(), exchange.getRequestBody().readAllBytes());
                exchange.sendResponseHeaders(200, answer.length);
                exchange.getResponseBody().write(answer);
            } catch (Exception error) {
                error.printStackTrace();
            }
        });
        server.start();
    }
}
