// SPDX-License-Identifier: BSD-2-Clause
//! Bodies in pieces, of requests and of responses: tests/vtc/wrapper_rust.vtc says what it answers.
use std::sync::atomic::{AtomicU64, Ordering};

use tinykvm::{BodyPiece, Pieces, Response};

/// The numbers up to the last one, a line each.
struct Numbers {
    next: u64,
    last: u64,
    piece: Vec<u8>,
}

impl Pieces for Numbers {
    fn next(&mut self, room: usize, _written: usize) -> &[u8] {
        self.piece.clear();
        while self.next <= self.last {
            let line = format!("{}\n", self.next);
            if self.piece.len() + line.len() > room.min(65536) {
                break;
            }
            self.piece.extend_from_slice(line.as_bytes());
            self.next += 1;
        }
        &self.piece
    }
}

/// The same byte again and again.
struct Zeros([u8; 4096]);

impl Pieces for Zeros {
    fn next(&mut self, room: usize, _written: usize) -> &[u8] {
        &self.0[..room.min(self.0.len())]
    }
}

fn on_get(url: &[u8], argument: &[u8]) {
    let amount = String::from_utf8_lossy(argument).parse().unwrap_or(0);
    let response = Response::new(200).content_type("text/numbers").header("X-Language: Rust").cache(30.0, 5.0, 0.0);
    if url == b"/zeros" {
        response.stream(Some(amount as usize), &mut Zeros([b'0'; 4096]));
    } else {
        response.stream(None, &mut Numbers { next: 1, last: amount, piece: Vec::new() });
    }
}

static SUM: AtomicU64 = AtomicU64::new(0);

fn on_body_piece(piece: &BodyPiece) {
    if !piece.data.is_empty() {
        SUM.fetch_add(piece.data.iter().map(|byte| u64::from(*byte)).sum(), Ordering::Relaxed);
        return;
    }
    let body = format!("{} bytes, sum {}", piece.offset, SUM.load(Ordering::Relaxed));
    Response::new(200).content_type(piece.content_type).send(&body);
}

fn main() {
    tinykvm::on_get(on_get);
    tinykvm::on_body_pieces(on_body_piece);
    tinykvm::serve();
}
