// SPDX-License-Identifier: BSD-2-Clause
//! What the Rust wrapper looks like: tests/vtc/wrappers.vtc says what it answers.
use std::sync::Mutex;

use tinykvm::{Message, Regex, Request, Response};

struct Prepared {
    digits: Regex,
    copied: Regex,
}
static PREPARED: Mutex<Option<Prepared>> = Mutex::new(None);

fn text(body: String) {
    Response::new(200).content_type("text/plain").send(&body);
}

fn on_request(request: &Request) {
    let prepared = PREPARED.lock().expect("one thread");
    let prepared = prepared.as_ref().expect("main() prepared it");
    let url = String::from_utf8_lossy(request.url()).into_owned();
    tinykvm::logf(format_args!("asked for {}", url));
    if request.method() == b"POST" {
        let shout = request.body().to_ascii_uppercase();
        return Response::new(201).content_type(request.content_type()).send(&shout);
    }
    match url.as_str() {
        "/fail" => panic!("as asked for"),
        "/headers" => {
            let mut field = [0; 256];
            let count = prepared.copied.copy(Message::Request, Message::Response).unwrap();
            Message::Response.append("X-Gone: soon").unwrap();
            Message::Response.unset("X-Gone").unwrap();
            let asked = Message::Request.find("X-Asked", &mut field).unwrap().unwrap_or(b"nothing");
            Message::Response.set(&format!("X-Seen: {}", String::from_utf8_lossy(asked))).unwrap();
            let own = request.header("x-asked").unwrap_or(b"-");
            text(format!("{} {}", count, String::from_utf8_lossy(own)))
        }
        _ if url.starts_with("/digits") => {
            let subject = format!("{}\0", url);
            let mut out = [0; 256];
            let at = prepared.digits.find(url.as_bytes()).unwrap();
            let replaced = prepared.digits.replace(subject.as_bytes(), b"<\\0>\0", &mut out, true).unwrap();
            let at = at.map_or("none".to_string(), |at| at.to_string());
            text(format!("{} {}", String::from_utf8_lossy(replaced), at))
        }
        _ => Response::new(200)
            .content_type("text/plain")
            .header("X-Language: Rust")
            .cache(30.0, 5.0, 0.0)
            .send(&format!("Hello, {}! 1", String::from_utf8_lossy(request.argument()))),
    }
}

fn on_error(request: &Request, what: &[u8]) {
    let url = String::from_utf8_lossy(request.url());
    let what = String::from_utf8_lossy(&what[..what.len().min(7)]);
    Response::new(203).content_type("text/plain").send(&format!("{} {}", url, what));
}

fn main() {
    if std::env::var_os("KVM_NAME").is_none() {
        println!("a program for the sandbox");
        return;
    }
    let prepared = Prepared { digits: Regex::new("[0-9]+").unwrap(), copied: Regex::new("^X-Copy").unwrap() };
    *PREPARED.lock().expect("one thread") = Some(prepared);
    tinykvm::on_request(on_request);
    tinykvm::on_error(on_error);
    tinykvm::serve();
}
