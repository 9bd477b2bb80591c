// How many requests this process has answered, and the SHA-256 of the body; what it has seen is kept for the next.
use sha2::{Digest, Sha256};

fn main() {
    let mut seen = Vec::new();
    for mut request in tiny_http::Server::http("0.0.0.0:8080").unwrap().incoming_requests() {
        let mut body = Vec::new();
        request.as_reader().read_to_end(&mut body).unwrap();
        if request.url() != "/" {
            seen.push(request.url().to_string()); // "/" is that of the warm-up
        }
        let answer = format!("{} {:x}", seen.join(" "), Sha256::digest(&body));
        request.respond(tiny_http::Response::from_string(answer)).unwrap();
    }
}
