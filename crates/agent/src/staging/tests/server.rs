//! A web server as the tests need it: real sockets, ranges, and connections that break where they are told to.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

/// What it answers for one path.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) body: Vec<u8>,
    /// Names this version; none is told when empty.
    pub(super) tag: String,
    /// Whether it gives parts.
    pub(super) ranges: bool,
    /// Whether it tells the size.
    pub(super) sized: bool,
    /// Each of the first answers breaks off after so many bytes.
    pub(super) breaks: Vec<usize>,
    /// Statuses of the first answers, before any other.
    pub(super) statuses: Vec<u16>,
    /// Where it leads instead.
    pub(super) location: Option<String>,
    /// It says nothing after these many bytes, until the server is gone.
    pub(super) stalls: Option<usize>,
}

impl Page {
    pub(super) fn of(body: &[u8]) -> Page {
        Page {
            body: body.to_vec(),
            tag: "\"v1\"".into(),
            ranges: true,
            sized: true,
            breaks: vec![],
            statuses: vec![],
            location: None,
            stalls: None,
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    pages: Mutex<BTreeMap<String, Page>>,
    /// Method, path and range of each request.
    seen: Mutex<Vec<(String, String, String)>>,
    written: Mutex<BTreeMap<String, Vec<u8>>>,
    gone: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.gone.store(true, SeqCst);
        // Wakes the accepting thread so that it sees the flag.
        let _ = TcpStream::connect(self.address);
    }
}

impl Server {
    pub(super) fn new() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.gone.load(SeqCst) {
                    return;
                }
                let shared = Arc::clone(&serving);
                thread::spawn(move || serve(&shared, stream.expect("a connection")));
            }
        });
        Server { address, shared }
    }

    pub(super) fn page(&self, path: &str, page: Page) {
        self.shared.pages.lock().expect("no panic").insert(path.to_owned(), page);
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Ranges asked for at a path, in order; empty for a request without one.
    pub(super) fn ranges(&self, path: &str) -> Vec<String> {
        let seen = self.shared.seen.lock().expect("no panic");
        seen.iter().filter(|(_, at, _)| at == path).map(|(_, _, range)| range.clone()).collect()
    }

    pub(super) fn written(&self, path: &str) -> Option<Vec<u8>> {
        self.shared.written.lock().expect("no panic").get(path).cloned()
    }
}

/// The lines of a request before its body; nothing when the other side hangs up.
fn head(reader: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut head: Vec<String> = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        if line.trim().is_empty() {
            return Some(head);
        }
        head.push(line.trim().to_owned());
    }
}

/// One request for each connection.
fn serve(shared: &Shared, mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let Some(head) = head(&mut reader) else { return };
    let header = |name: &str| {
        let find = |line: &String| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        head.iter().find_map(find)
    };
    let mut words = head[0].split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let path = target.split('?').next().unwrap_or(target).to_owned();
    let range = header("range").unwrap_or_default();
    shared.seen.lock().expect("no panic").push((method.to_owned(), path.clone(), range.clone()));
    let mut body = vec![0; header("content-length").map_or(0, |text| text.parse().expect("a length"))];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let mut pages = shared.pages.lock().expect("no panic");
    let Some(page) = pages.get_mut(&path) else {
        drop(pages);
        if method == "PUT" {
            shared.written.lock().expect("no panic").insert(path, body);
            let _ = stream.write_all(b"HTTP/1.1 201 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        } else {
            let _ = stream.write_all(b"HTTP/1.1 404 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
        return;
    };
    if !page.statuses.is_empty() {
        let status = page.statuses.remove(0);
        let _ = stream
            .write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes());
        return;
    }
    let breaks = (!page.breaks.is_empty()).then(|| page.breaks.remove(0));
    let page = page.clone();
    drop(pages);
    if let Some(location) = &page.location {
        let head = format!("HTTP/1.1 307 X\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
        return;
    }
    let same = header("if-range").is_none_or(|tag| tag == page.tag);
    let from =
        range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')).and_then(|from| from.parse().ok());
    let from: usize = from.filter(|_| page.ranges && same).unwrap_or(0);
    let total = page.body.len();
    let mut answer = match from {
        0 => "HTTP/1.1 200 X\r\n".to_owned(),
        _ => format!("HTTP/1.1 206 X\r\ncontent-range: bytes {from}-{}/{total}\r\n", total - 1),
    };
    if !page.tag.is_empty() {
        answer += &format!("etag: {}\r\n", page.tag);
    }
    if page.sized {
        answer += &format!("content-length: {}\r\n", total - from);
    }
    answer += "connection: close\r\n\r\n";
    let until = breaks.or(page.stalls).map_or(total, |most| total.min(from + most));
    let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.write_all(&page.body[from..until]));
    if page.stalls.is_some() {
        // Until the other side has enough of it.
        let _ = stream.read(&mut [0]);
    }
}
