// How many requests this process has answered, and the SHA-256 of the body; what it has seen is kept for the next.
use hyper::service::{make_service_fn, service_fn};
use hyper::{Body, Request, Response, Server};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::sync::Mutex;

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

async fn answer(request: Request<Body>) -> Result<Response<Body>, hyper::Error> {
    let url = request.uri().to_string();
    let body = hyper::body::to_bytes(request.into_body()).await?;
    let mut seen = SEEN.lock().unwrap();
    if url != "/" {
        seen.push(url); // "/" is that of the warm-up
    }
    Ok(Response::new(format!("{} {:x}", seen.join(" "), Sha256::digest(&body)).into()))
}

#[tokio::main]
async fn main() {
    let service = make_service_fn(|_| async { Ok::<_, Infallible>(service_fn(answer)) });
    Server::bind(&([0, 0, 0, 0], 8080).into()).serve(service).await.unwrap();
}
