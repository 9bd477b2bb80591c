// SPDX-License-Identifier: BSD-2-Clause
//! `kvm_api.h` for Rust: programs that serve requests in a tinykvm sandbox. No dependencies, no allocation, `no_std`.
//!
//! ```no_run
//! use tinykvm::{Request, Response};
//!
//! fn on_request(request: &Request) {
//!     Response::new(200).content_type("text/plain").send(request.url());
//! }
//! fn main() {
//!     tinykvm::on_request(on_request);
//!     tinykvm::serve();
//! }
//! ```
//!
//! `main()` runs once. From `serve()` on every request runs its handler in its own copy of the waiting program, and what
//! it changes is gone when it ends. Strings of requests are bytes, because clients send what they like. Build programs
//! with `panic = "abort"`: a panic then ends the request, and the error handler gets it.
#![no_std]
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use core::arch::asm;
use core::fmt::{self, Write};
use core::mem::size_of;
use core::sync::atomic::{AtomicUsize, Ordering};

/// What a call can fail with: a positive `errno` value of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error(pub i32);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {}", self.0)
    }
}

pub type Result<T> = core::result::Result<T, Error>;

mod number {
    pub const REGISTER_FUNC: u32 = 0x10000;
    pub const WAIT_FOR_REQUESTS: u32 = 0x10001;
    pub const SET_CACHEABLE: u32 = 0x10005;
    pub const BACKEND_RESPONSE: u32 = 0x10010;
    pub const BEGIN_STREAMING_RESPONSE: u32 = 0x10012;
    pub const HTTP_APPEND: u32 = 0x10020;
    pub const HTTP_SET: u32 = 0x10021;
    pub const HTTP_FIND: u32 = 0x10022;
    pub const REGEX_COMPILE: u32 = 0x10030;
    pub const REGEX_FREE: u32 = 0x10031;
    pub const REGEX_MATCH: u32 = 0x10032;
    pub const REGEX_SUBST: u32 = 0x10033;
    pub const REGEX_COPYTO: u32 = 0x10035;
    pub const MAKE_EPHEMERAL: u32 = 0x10703;
    pub const MEMINFO: u32 = 0x10A00;
    pub const LOG: u32 = 0x7F000;
}

/// Raises a call. Every sandbox has the way to its host at this address; elsewhere it ends in a SIGSEGV.
///
/// # Safety
/// The host reads and writes the memory that the arguments name.
unsafe fn call(number: u32, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let mut result = number as isize;
    asm!(
        "lea r11, [rip + 2f]",
        "jmp r10",
        "2:",
        inout("rax") result,
        inout("r10") 0x7F_FFE0_4800_usize => _,
        out("r11") _,
        in("rdi") a, in("rsi") b, in("rdx") c, in("rcx") d, in("r8") e, in("r9") f,
    );
    result
}

fn check(result: isize) -> Result<usize> {
    if result < 0 {
        Err(Error(-result as i32))
    } else {
        Ok(result as usize)
    }
}

// --- Layouts

#[repr(C)]
struct RawField {
    field: *const u8,
    field_colon: u32,
    field_len: u32,
}

#[repr(C)]
struct RawRequest {
    method: *const u8,
    url: *const u8,
    arg: *const u8,
    content_type: *const u8,
    method_len: u16,
    url_len: u16,
    arg_len: u16,
    content_type_len: u16,
    content: *const u8,
    content_len: usize,
    headers: *const RawField,
    num_headers: u16,
    info_flags: u16,
    reserved0: u32,
    prng: [u64; 2],
    reserved1: [u64; 2],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct RawResponseHeader {
    field: *const u8,
    field_len: usize,
}

#[repr(C)]
struct RawExtra {
    headers: *const RawResponseHeader,
    num_headers: u16,
    cached: bool,
    ttl: f32,
    grace: f32,
    keep: f32,
    reserved: [u64; 4],
}

/// Memory limits and use, in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Most the program may have while it boots.
    pub max_memory: u64,
    /// Most a request may change or add.
    pub max_request_memory: u64,
    /// The most this VM's requests changed or added so far.
    pub most_changed: u64,
    /// What this request changed or added.
    pub changed: u64,
}

const _: () = assert!(size_of::<RawField>() == 16);
const _: () = assert!(size_of::<RawRequest>() == 104);
const _: () = assert!(size_of::<RawResponseHeader>() == 16);
const _: () = assert!(size_of::<RawExtra>() == 56);
const _: () = assert!(size_of::<Memory>() == 32);

// --- Requests

/// A request. It lives until it is answered.
pub struct Request {
    raw: RawRequest,
}

unsafe fn bytes<'a>(data: *const u8, len: usize) -> &'a [u8] {
    if data.is_null() || len == 0 {
        &[]
    } else {
        core::slice::from_raw_parts(data, len)
    }
}

/// What ends with a zero.
unsafe fn text<'a>(data: *const u8) -> &'a [u8] {
    let mut len = 0;
    while *data.add(len) != 0 {
        len += 1;
    }
    bytes(data, len)
}

impl Request {
    // The host laid the request out as its lengths say.
    pub fn method(&self) -> &[u8] {
        unsafe { bytes(self.raw.method, self.raw.method_len.into()) }
    }
    pub fn url(&self) -> &[u8] {
        unsafe { bytes(self.raw.url, self.raw.url_len.into()) }
    }
    /// What VCL passed besides the URL.
    pub fn argument(&self) -> &[u8] {
        unsafe { bytes(self.raw.arg, self.raw.arg_len.into()) }
    }
    pub fn content_type(&self) -> &[u8] {
        unsafe { bytes(self.raw.content_type, self.raw.content_type_len.into()) }
    }
    pub fn body(&self) -> &[u8] {
        unsafe { bytes(self.raw.content, self.raw.content_len) }
    }
    /// The header fields: name and value, without the spaces around it.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let fields: &[RawField] = if self.raw.num_headers == 0 {
            &[]
        } else {
            unsafe { core::slice::from_raw_parts(self.raw.headers, self.raw.num_headers.into()) }
        };
        fields.iter().map(|one| {
            let line = unsafe { bytes(one.field, one.field_len as usize) };
            let colon = (one.field_colon as usize).min(line.len());
            (&line[..colon], trim(&line[(colon + 1).min(line.len())..]))
        })
    }
    /// The value of the first field of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers()
            .find(|(one, _)| one.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }
    /// 128 random bits, new for every request.
    pub fn random(&self) -> [u64; 2] {
        self.raw.prng
    }
    /// Is it one of those made to warm the program up?
    pub fn is_warmup(&self) -> bool {
        self.raw.info_flags & 1 != 0
    }
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

// --- Responses

/// Most header fields a response can have.
pub const MAX_HEADERS: usize = 64;

/// An answer. `send()` ends the request: it does not come back.
pub struct Response<'a> {
    status: i16,
    content_type: &'a [u8],
    headers: [RawResponseHeader; MAX_HEADERS],
    count: usize,
    extra: RawExtra,
}

impl<'a> Response<'a> {
    pub fn new(status: u16) -> Self {
        let none = RawResponseHeader { field: core::ptr::null(), field_len: 0 };
        let extra = RawExtra {
            headers: core::ptr::null(),
            num_headers: 0,
            cached: false,
            ttl: 0.0,
            grace: 0.0,
            keep: 0.0,
            reserved: [0; 4],
        };
        Response { status: status as i16, content_type: &[], headers: [none; MAX_HEADERS], count: 0, extra }
    }
    pub fn content_type(mut self, content_type: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.content_type = content_type.as_ref();
        self
    }
    /// Adds the field `"Name: value"`. There may be 64; more panic.
    pub fn header(mut self, line: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        let line = line.as_ref();
        self.headers[self.count] = RawResponseHeader { field: line.as_ptr(), field_len: line.len() };
        self.count += 1;
        self
    }
    /// Varnish may store it for so many seconds.
    pub fn cache(mut self, ttl: f32, grace: f32, keep: f32) -> Self {
        self.extra.cached = true;
        self.extra.ttl = ttl;
        self.extra.grace = grace;
        self.extra.keep = keep;
        self
    }
    pub fn send(mut self, body: &(impl AsRef<[u8]> + ?Sized)) {
        let body = body.as_ref();
        self.extra.headers = self.headers.as_ptr();
        self.extra.num_headers = self.count as u16;
        let extra: *const RawExtra = &self.extra;
        unsafe {
            call(
                number::BACKEND_RESPONSE,
                [
                    self.status as usize,
                    self.content_type.as_ptr() as usize,
                    self.content_type.len(),
                    body.as_ptr() as usize,
                    body.len(),
                    extra as usize,
                ],
            );
        }
    }
}

// --- Bodies in pieces

/// A body that is made while it is delivered.
pub trait Pieces {
    /// The next piece: at least one byte and at most `room`, after `written` bytes. It is read before the next call. An empty
    /// one is the end of a body of unknown length; before the end of a known one it ends the response early, as a longer
    /// one does. Only log, memory and regex calls may be made here.
    fn next(&mut self, room: usize, written: usize) -> &[u8];
}

#[repr(C)]
struct RawPiece {
    data: *const u8,
    len: usize,
}

extern "C" fn next_piece<P: Pieces>(pieces: *mut P, room: usize, written: usize, _: usize) -> RawPiece {
    let piece = unsafe { &mut *pieces }.next(room, written);
    RawPiece { data: piece.as_ptr(), len: piece.len() }
}

impl Response<'_> {
    /// Sends a body of `length` bytes, or of unknown length, piece by piece. All memory stays as it is meanwhile.
    pub fn stream<P: Pieces>(self, length: Option<usize>, pieces: &mut P) {
        for header in &self.headers[..self.count] {
            let line = [Message::Response as usize, header.field as usize, header.field_len, 0, 0, 0];
            unsafe { call(number::HTTP_APPEND, line) };
        }
        if self.extra.cached {
            let milliseconds = |seconds: f32| (seconds * 1000.0) as usize;
            let times = [self.extra.ttl, self.extra.grace, self.extra.keep].map(milliseconds);
            unsafe { call(number::SET_CACHEABLE, [1, times[0], times[1], times[2], 0, 0]) };
        }
        let pieces: *mut P = pieces;
        unsafe {
            call(
                number::BEGIN_STREAMING_RESPONSE,
                [
                    self.status as usize,
                    self.content_type.as_ptr() as usize,
                    self.content_type.len(),
                    length.unwrap_or(usize::MAX),
                    next_piece::<P> as *const () as usize,
                    pieces as usize,
                ],
            );
        }
    }
}

/// A part of a request's body, which came while the rest is still on its way.
pub struct BodyPiece<'a> {
    pub url: &'a [u8],
    /// What VCL passed besides the URL.
    pub argument: &'a [u8],
    pub content_type: &'a [u8],
    /// Empty at the end of the body. The next piece takes its place.
    pub data: &'a [u8],
    /// How many bytes came before.
    pub offset: usize,
}

static ON_BODY_PIECE: AtomicUsize = AtomicUsize::new(0);
static ON_GET: AtomicUsize = AtomicUsize::new(0);

extern "C" fn handle_body_piece(
    url: *const u8,
    argument: *const u8,
    content_type: *const u8,
    data: *const u8,
    len: usize,
    offset: usize,
) -> isize {
    let handler: fn(&BodyPiece) = unsafe { core::mem::transmute(ON_BODY_PIECE.load(Ordering::Relaxed)) };
    let piece = unsafe {
        BodyPiece {
            url: text(url),
            argument: text(argument),
            content_type: text(content_type),
            data: bytes(data, len),
            offset,
        }
    };
    handler(&piece);
    len as isize
}

extern "C" fn handle_get(url: *const u8, argument: *const u8) {
    let handler: fn(&[u8], &[u8]) = unsafe { core::mem::transmute(ON_GET.load(Ordering::Relaxed)) };
    unsafe { handler(text(url), text(argument)) };
}

/// `handler` gets bodies of any length in pieces of up to 256 KiB, as they come, and returns after each. After the last one
/// it is called with an empty piece and answers; it may also answer before. Not used with `on_request`: what has no body
/// is for `on_get` then.
pub fn on_body_pieces(handler: fn(&BodyPiece)) {
    ON_BODY_PIECE.store(handler as usize, Ordering::Relaxed);
    unsafe { call(number::REGISTER_FUNC, [4, handle_body_piece as *const () as usize, 0, 0, 0, 0]) };
}

/// `handler` answers requests without a body: it gets the URL and what VCL passed besides. Not used with `on_request`.
pub fn on_get(handler: fn(&[u8], &[u8])) {
    ON_GET.store(handler as usize, Ordering::Relaxed);
    unsafe { call(number::REGISTER_FUNC, [1, handle_get as *const () as usize, 0, 0, 0, 0]) };
}

// --- Handlers: in main()

static ON_REQUEST: AtomicUsize = AtomicUsize::new(0);
static ON_ERROR: AtomicUsize = AtomicUsize::new(0);

extern "C" fn handle_request(request: *const RawRequest) {
    let handler: fn(&Request) = unsafe { core::mem::transmute(ON_REQUEST.load(Ordering::Relaxed)) };
    // `Request` is nothing but the raw one.
    handler(unsafe { &*(request as *const Request) });
}

extern "C" fn handle_error(_: *const u8, _: *const u8, what: *const u8, request: *const RawRequest) {
    let handler: fn(&Request, &[u8]) = unsafe { core::mem::transmute(ON_ERROR.load(Ordering::Relaxed)) };
    handler(unsafe { &*(request as *const Request) }, unsafe { text(what) });
}

/// `handler` answers every request.
pub fn on_request(handler: fn(&Request)) {
    ON_REQUEST.store(handler as usize, Ordering::Relaxed);
    unsafe { call(number::REGISTER_FUNC, [3, handle_request as *const () as usize, 0, 0, 0, 0]) };
}

/// `handler` gets a second chance when a request failed: it runs in a fresh copy of the program, has one second, and is
/// told what happened.
pub fn on_error(handler: fn(&Request, &[u8])) {
    ON_ERROR.store(handler as usize, Ordering::Relaxed);
    unsafe { call(number::REGISTER_FUNC, [5, handle_error as *const () as usize, 0, 0, 0, 0]) };
}

/// The end of `main()`: the program is complete and frozen here.
pub fn serve() -> ! {
    loop {
        unsafe { call(number::WAIT_FOR_REQUESTS, [0; 6]) };
    }
}

/// Is the VM to be made equal to what `main()` left, after each request? Only with `"control_ephemeral": true`.
pub fn make_ephemeral(ephemeral: bool) -> Result<()> {
    check(unsafe { call(number::MAKE_EPHEMERAL, [ephemeral as usize, 0, 0, 0, 0, 0]) }).map(drop)
}

// --- Messages in Varnish

/// The header of a message as VCL sees it. Each call leaves the sandbox once.
#[derive(Clone, Copy)]
pub enum Message {
    /// `bereq`
    Request = 0,
    /// `beresp`
    Response = 1,
}

impl Message {
    /// Copies the first field of that name to `out`, and returns its value; `None` also when it does not fit.
    pub fn find<'a>(self, name: &str, out: &'a mut [u8]) -> Result<Option<&'a [u8]>> {
        let arguments = [self as usize, name.as_ptr() as usize, name.len(), out.as_mut_ptr() as usize, out.len(), 0];
        let len = check(unsafe { call(number::HTTP_FIND, arguments) })?;
        Ok(if len == 0 { None } else { Some(trim(&out[name.len() + 1..len])) })
    }
    /// Adds a field `"Name: value"`.
    pub fn append(self, line: &str) -> Result<()> {
        self.change(number::HTTP_APPEND, line)
    }
    /// Sets a field `"Name: value"` in place of all of that name.
    pub fn set(self, line: &str) -> Result<()> {
        self.change(number::HTTP_SET, line)
    }
    pub fn unset(self, name: &str) -> Result<()> {
        self.change(number::HTTP_SET, name)
    }
    fn change(self, number: u32, line: &str) -> Result<()> {
        check(unsafe { call(number, [self as usize, line.as_ptr() as usize, line.len(), 0, 0, 0]) }).map(drop)
    }
}

// --- Regular expressions

/// Compiled by the host, freed with the object.
pub struct Regex(i32);

impl Regex {
    pub fn new(pattern: &str) -> Result<Self> {
        check(unsafe { call(number::REGEX_COMPILE, [pattern.as_ptr() as usize, pattern.len(), 0, 0, 0, 0]) })
            .map(|handle| Regex(handle as i32))
    }
    /// Where in `text` the first match begins.
    pub fn find(&self, text: &[u8]) -> Result<Option<usize>> {
        match unsafe { call(number::REGEX_MATCH, [self.0 as usize, text.as_ptr() as usize, text.len(), 0, 0, 0]) } {
            -1 => Ok(None),
            result => check(result).map(Some),
        }
    }
    /// Writes `text`, which ends with a zero as `replacement` does, to `out`, with the first match or all of them
    /// replaced. Returns what it wrote, without its zero.
    pub fn replace<'a>(&self, text: &[u8], replacement: &[u8], out: &'a mut [u8], all: bool) -> Result<&'a [u8]> {
        const EINVAL: i32 = 22;
        if text.last() != Some(&0) || replacement.last() != Some(&0) {
            return Err(Error(EINVAL));
        }
        let arguments = [
            self.0 as usize,
            text.as_ptr() as usize,
            replacement.as_ptr() as usize,
            out.as_mut_ptr() as usize,
            out.len(),
            all as usize,
        ];
        let size = check(unsafe { call(number::REGEX_SUBST, arguments) })?;
        Ok(&out[..size - 1])
    }
    /// Adds the fields of `from` that match to `to`; returns how many.
    pub fn copy(&self, from: Message, to: Message) -> Result<usize> {
        check(unsafe { call(number::REGEX_COPYTO, [self.0 as usize, from as usize, to as usize, 0, 0, 0]) })
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        unsafe { call(number::REGEX_FREE, [self.0 as usize, 0, 0, 0, 0, 0]) };
    }
}

// --- The log, and what is left

/// Writes one line to the log of the request, or of the program while it boots.
pub fn log(line: &str) {
    unsafe { call(number::LOG, [line.as_ptr() as usize, line.len(), 0, 0, 0, 0]) };
}

/// `logf(format_args!("{} bytes", n))`, without allocating: at most 1024 bytes.
pub fn logf(arguments: fmt::Arguments<'_>) {
    struct Line {
        text: [u8; 1024],
        len: usize,
    }
    impl Write for Line {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let len = part.len().min(self.text.len() - self.len);
            self.text[self.len..self.len + len].copy_from_slice(&part.as_bytes()[..len]);
            self.len += len;
            Ok(())
        }
    }
    let mut line = Line { text: [0; 1024], len: 0 };
    let _ = line.write_fmt(arguments);
    unsafe { call(number::LOG, [line.text.as_ptr() as usize, line.len, 0, 0, 0, 0]) };
}

pub fn memory() -> Memory {
    let mut info = Memory::default();
    let at: *mut Memory = &mut info;
    unsafe { call(number::MEMINFO, [at as usize, 0, 0, 0, 0, 0]) };
    info
}
