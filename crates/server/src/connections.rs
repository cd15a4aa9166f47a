//! Connections: each is served until its client goes, or until the server stops.
//!
//! One layer below `axum::serve`, which sets no time limit for request heads.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
};
use huisuan_api::alive;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::net::{TcpListener, TcpStream};

use crate::peer::Peer;

/// How long a client may take to send the head of a request, the wait for its first byte included: who holds
/// connections open and says nothing holds them no longer.
pub(crate) const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// The pause after connections could not be taken, for want of descriptors mostly: they come back as others end.
const PAUSE: Duration = Duration::from_millis(200);

/// Has every request answered until `stopped`, then lets those end that are under way.
pub(crate) async fn serve<F>(
    listener: TcpListener,
    answer: impl Fn(Request) -> F + Clone + Send + 'static,
    head_within: Duration,
    stopped: impl Future<Output = ()>,
) where
    F: Future<Output = Response> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let mut stopped = std::pin::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => break,
        };
        match accepted {
            Ok((stream, remote)) => connect(stream, remote, answer.clone(), head_within, &graceful),
            Err(error) => {
                tracing::warn!(%error, "connection not taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

fn connect<F>(
    stream: TcpStream,
    remote: SocketAddr,
    answer: impl Fn(Request) -> F + Send + 'static,
    head_within: Duration,
    graceful: &GracefulShutdown,
) where
    F: Future<Output = Response> + Send + 'static,
{
    // Small answers are sent at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no delay not set");
    }
    // Who is gone and could not say so holds no quiet connection, and is not taken to be waiting for orders. With an
    // answer under way it takes TCP longer to give up: a slow reader looks the same.
    if let Err(error) = alive::watch(&stream) {
        tracing::debug!(%error, "connection not watched");
    }
    let peer = Peer::of(&stream, remote);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_within)
        .serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, %remote, "connection ended");
        }
    });
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::{mpsc, oneshot},
    };

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";
    /// Far above what anything here takes, far below what makes people wait for a test.
    const LONG: Duration = Duration::from_secs(60);

    /// A server whose answers take a word from `words` each, while a story is told.
    fn told<T>(head_within: Duration, story: impl AsyncFnOnce(SocketAddr, Words, Stop) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
            let address = listener.local_addr().expect("an address");
            let (words, next) = mpsc::channel::<&'static str>(9);
            let (asked, heard) = mpsc::channel(9);
            let next = std::sync::Arc::new(tokio::sync::Mutex::new(next));
            let answer = move |_: Request| {
                let (next, asked) = (next.clone(), asked.clone());
                async move {
                    asked.send(()).await.expect("the story goes on");
                    next.lock().await.recv().await.expect("a word").into_response()
                }
            };
            let (stop, stopped) = oneshot::channel();
            let served = serve(listener, answer, head_within, async move { _ = stopped.await });
            let (told, ()) = tokio::join!(story(address, Words { words, heard }, Stop(stop)), served);
            told
        })
    }

    struct Words {
        words: mpsc::Sender<&'static str>,
        heard: mpsc::Receiver<()>,
    }
    /// Dropped, it stops the server.
    struct Stop(#[expect(dead_code, reason = "its end is what counts")] oneshot::Sender<()>);

    async fn read(stream: &mut TcpStream, until: &str) -> String {
        let mut text = Vec::new();
        while !String::from_utf8_lossy(&text).ends_with(until) {
            let read = tokio::time::timeout(LONG, stream.read_buf(&mut text)).await.expect("in time");
            if read.expect("bytes") == 0 {
                break;
            }
        }
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn who_sends_no_whole_head_is_let_go() {
        told(Duration::from_millis(200), async |address, words, _stop| {
            words.words.send("one").await.expect("room");
            for head in [&b""[..], b"GET / HTTP/1.1\r\nHost: he"] {
                let mut stream = TcpStream::connect(address).await.expect("a connection");
                stream.write_all(head).await.expect("it is taken");
                let answer = read(&mut stream, "never").await;
                assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
            }
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.write_all(REQUEST).await.expect("it is taken");
            assert!(read(&mut stream, "one").await.starts_with("HTTP/1.1 200"));
            assert_eq!(read(&mut stream, "never").await, "", "and who has nothing more to ask");
        });
    }

    #[test]
    fn a_stop_lets_an_answer_under_way_end_and_closes_the_rest() {
        told(LONG, async |address, mut words, stop| {
            let mut idle = TcpStream::connect(address).await.expect("a connection");
            words.words.send("one").await.expect("room");
            idle.write_all(REQUEST).await.expect("it is taken");
            read(&mut idle, "one").await;
            words.heard.recv().await.expect("a request");
            let mut busy = TcpStream::connect(address).await.expect("a connection");
            busy.write_all(REQUEST).await.expect("it is taken");
            words.heard.recv().await.expect("a request");
            drop(stop);
            assert_eq!(read(&mut idle, "never").await, "");
            assert!(TcpStream::connect(address).await.is_err(), "nobody new is taken");
            words.words.send("two").await.expect("room");
            assert!(read(&mut busy, "two").await.ends_with("two"));
        });
    }
}
