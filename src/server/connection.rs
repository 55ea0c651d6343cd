//! One connection: TLS where it is spoken, then HTTP/1.1 until one side has had enough.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::config::Limits;
use super::crowd::{Seat, Wish, slow_down};
use super::linger::{Linger, LingeringStream};
use super::patience::PatientStream;
use super::sip::SippingStream;
use super::wire_case::WireCase;
use crate::protocol::request::Response;

/// What is known of a request before its first byte.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Who connected.
    pub peer: SocketAddr,
    /// Where the server listens.
    pub local: SocketAddr,
    /// Whether TLS is spoken.
    pub tls: bool,
}

/// What the whole server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Answering.
    Serving,
    /// Finishing what is in flight.
    Draining,
    /// Going, whatever is in flight.
    Closing,
}

/// What holds for a connection.
pub(super) struct Terms {
    pub(super) arrival: Arrival,
    pub(super) limits: Limits,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) case: WireCase,
    pub(super) seat: Seat,
}

/// What hyper needs at least for what it reads ahead and has yet to write, which each connection may
/// hold.
const BUFFER_BYTES_MIN: usize = 8192;

/// How long a connection that is to make room may take to say so.
const SHED_GRACE: Duration = Duration::from_millis(100);

/// Answers the requests of one connection until it ends.
pub(super) async fn converse<H, F>(stream: TcpStream, tls: Option<TlsAcceptor>, mut terms: Terms, handler: H)
where
    H: Fn(Arrival, Request<Incoming>) -> F,
    F: Future<Output = Response>,
{
    // Head and body of a small answer go out in one write; waiting for more would only add delay.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, peer = %terms.arrival.peer, "the client went before it asked anything");
        return;
    }
    let Some(acceptor) = tls else {
        return speak(stream, terms, handler).await;
    };
    let peer = terms.arrival.peer;
    let greeted = tokio::select! {
        greeted = tokio::time::timeout(terms.limits.head_timeout, acceptor.accept(stream)) => greeted,
        () = reached(&mut terms.phase, Phase::Draining) => return,
        () = terms.seat.shed() => return,
    };
    match greeted {
        Ok(Ok(stream)) => speak(stream, terms, handler).await,
        Ok(Err(error)) => tracing::debug!(%error, %peer, "no TLS came about"),
        Err(_elapsed) => tracing::debug!(%peer, "no TLS came about in the time allowed"),
    }
}

/// HTTP/1.1 over a stream.
async fn speak<S, H, F>(stream: S, terms: Terms, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Arrival, Request<Incoming>) -> F,
    F: Future<Output = Response>,
{
    let Terms { arrival, limits, mut phase, case, seat } = terms;
    let linger = Linger::default();
    let service = service_fn(|request: Request<Incoming>| {
        let (case, linger, seat, handler) = (&case, &linger, &seat, &handler);
        async move {
            let path = request.uri().path().to_owned();
            let answered = match seat.turn(Wish::of(&request)).await {
                Some(turn) => turn.answered(handler(arrival, request).await),
                None => None,
            };
            let response = answered.unwrap_or_else(|| slow_down(&path));
            linger.set(response.headers().contains_key(header::CONNECTION));
            Ok::<_, Infallible>(case.apply(response))
        }
    });
    let stream = SippingStream::new(stream, seat.crowd().clone());
    let stream = PatientStream::new(stream, limits.pace());
    let stream = TokioIo::new(LingeringStream::new(stream, linger.clone()));
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_header_size(limits.head_bytes_max)
            .max_buf_size(limits.head_bytes_max.max(BUFFER_BYTES_MIN))
            // A client may say that it will send nothing more and still wait for its answer.
            .half_close(true)
            .serve_connection(stream, service)
    );
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = seat.shed() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(SHED_GRACE, connection).await {
                Ok(ended) => ended,
                Err(_elapsed) => return,
            }
        }
        () = reached(&mut phase, Phase::Draining) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = &mut connection => ended,
                () = reached(&mut phase, Phase::Closing) => return,
            }
        }
    };
    if let Err(error) = ended {
        // Clients go away in the middle of things all the time; what became of a request is in its
        // own event.
        tracing::debug!(error = %told(&error), peer = %arrival.peer, "a connection ended early");
    }
}

/// Done once the server is in `phase` or past it, or gone.
async fn reached(watched: &mut watch::Receiver<Phase>, phase: Phase) {
    // An error means that the server is gone, which is as good a reason to end.
    drop(watched.wait_for(|now| *now >= phase).await);
}

/// An error of hyper with its cause, which it does not show by itself.
fn told(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
