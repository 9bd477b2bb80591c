//! Says hello, and gives a POSTed text back in capitals.
use tinykvm::{Request, Response};

const GREETING: &str = "Hello";

// Each request is answered in its own copy of what main() left. What is changed here is gone with the request.
fn on_request(request: &Request) {
    let mut answer = request.body().to_ascii_uppercase();
    if answer.is_empty() {
        answer = format!("{}, {}!\n", GREETING, String::from_utf8_lossy(request.argument())).into_bytes();
    }
    Response::new(200).content_type("text/plain").send(&answer);
}

fn main() {
    if std::env::var_os("KVM_NAME").is_none() {
        println!("{}, Linux!", GREETING);
        return;
    }
    // What all requests need is done here, once: files read, tables computed, networks loaded.
    tinykvm::on_request(on_request);
    tinykvm::serve();
}
