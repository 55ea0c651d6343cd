//! The socket: binding it, accepting from it, and stopping in good order. Who has to go where too many
//! come is for `crowd`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::cidr::Cidr;
use super::config::{Config, Limits};
use super::connection::{self, Arrival, Phase};
use super::crowd::{self, Crowd};
use super::error::Error;
use super::tls;
use super::wire_case::WireCase;
use crate::protocol::meter::Connections;
use crate::protocol::request::Response;

/// An address that is listened on. Connections queue up until [`Listener::serve`] takes them.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    trusted_proxies: Vec<Cidr>,
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that were cut off because they took longer than the time allowed.
    pub cut_off: usize,
}

/// The shortest and longest pause after an accept that failed for want of resources.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

impl Listener {
    /// Listens, and reads the TLS identity where there is one.
    pub async fn bind(config: &Config) -> Result<Self, Error> {
        let refused = |source| Error::Bind { address: config.listen, source };
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let socket = TcpListener::bind(config.listen).await.map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        let limits = within_open_files(config.limits);
        Ok(Self { socket, address, tls, limits, trusted_proxies: config.trusted_proxies.clone() })
    }

    /// The address, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The scheme that clients use.
    pub fn scheme(&self) -> http::uri::Scheme {
        if self.tls.is_some() { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP }
    }

    /// Answers requests by `handler` until `stop` is done; then no more connections are taken, idle
    /// ones are closed at once and requests in flight get the configured time. Connections are
    /// counted in `counts`.
    pub async fn serve<H, F>(self, handler: H, counts: Connections, stop: impl Future<Output = ()>) -> Stopped
    where
        H: Fn(Arrival, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let crowd = Crowd::new(&self.limits, self.trusted_proxies.clone(), counts);
        let (phase, watched) = watch::channel(Phase::Serving);
        let case = WireCase::learn().await;
        let mut stop = std::pin::pin!(stop);
        loop {
            let (stream, peer) = tokio::select! {
                biased;
                () = &mut stop => break,
                next = self.accept(&crowd) => next,
            };
            let Some(seat) = crowd.admit(peer.ip()) else { continue };
            let arrival = Arrival { peer, local: self.address, tls: self.tls.is_some() };
            let conversation = connection::converse(
                stream,
                self.tls.clone(),
                connection::Terms {
                    arrival,
                    limits: self.limits,
                    phase: watched.clone(),
                    case: case.clone(),
                    seat,
                },
                handler.clone(),
            );
            tokio::spawn(conversation);
        }
        let limits = self.limits;
        drop(self.socket);
        drain(&crowd, &phase, limits.stop_timeout).await
    }

    /// The next connection. Failures are told and waited out.
    async fn accept(&self, crowd: &Crowd) -> (TcpStream, SocketAddr) {
        let mut pause = PAUSE_MIN;
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    return (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port()));
                }
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    // Out of descriptors or memory: the queue stays readable, so without a pause
                    // this loop would spin. An idle connection may give its descriptor back.
                    crowd.shed_one();
                    tracing::warn!(
                        %error,
                        pause_ms = pause.as_millis(),
                        "cannot accept a connection; raise the limit of open files (ulimit -n) or lower connections_max"
                    );
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }
}

/// Whether accepting failed because the client had gone already.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Files that the process has open besides connections and the blobs that they read and write.
const OTHER_FILES: u64 = 128;

/// Fewer connections where the system does not grant the files for all of them: without one, nobody
/// could be accepted, whatever they want to ask.
fn within_open_files(limits: Limits) -> Limits {
    let Some(files) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current else {
        return limits;
    };
    let fitting = connections_within(files);
    if limits.connections_max <= fitting {
        return limits;
    }
    tracing::warn!(
        connections = fitting,
        open_files = files,
        "fewer connections than limits.connections: raise the limit of open files (ulimit -n)"
    );
    Limits { connections_max: fitting, ..limits }
}

/// How many transfers the files are enough for, each with a connection and a blob, besides the
/// connections that are idle or ask for little.
fn connections_within(files: u64) -> usize {
    let files = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    (files.saturating_sub(2 * crowd::spare(files / 2)) / 2).max(1)
}

/// Waits until every connection has ended, first kindly, then not.
async fn drain(crowd: &Crowd, phase: &watch::Sender<Phase>, stop_timeout: Duration) -> Stopped {
    phase.send_replace(Phase::Draining);
    if tokio::time::timeout(stop_timeout, crowd.gone()).await.is_ok() {
        return Stopped { cut_off: 0 };
    }
    let cut_off = crowd.alive();
    tracing::warn!(cut_off, "requests still in flight after the time allowed for stopping are cut off");
    phase.send_replace(Phase::Closing);
    crowd.gone().await;
    Stopped { cut_off }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}
