//! The socket: binding it, accepting from it up to the cap, and stopping in good order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::config::{Config, Limits};
use super::connection::{self, Arrival, Phase};
use super::error::Error;
use super::tls;
use super::wire_case::WireCase;
use crate::protocol::request::Response;

/// An address that is listened on. Connections queue up until [`Listener::serve`] takes them.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    limits: Limits,
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
        Ok(Self { socket, address, tls, limits: config.limits })
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
    /// ones are closed at once and requests in flight get the configured time.
    ///
    /// # Panics
    /// Never: nothing closes the semaphore that counts connections.
    pub async fn serve<H, F>(self, handler: H, stop: impl Future<Output = ()>) -> Stopped
    where
        H: Fn(Arrival, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let capacity = self.limits.connections_max.clamp(1, Semaphore::MAX_PERMITS);
        let slots = Arc::new(Semaphore::new(capacity));
        let (phase, watched) = watch::channel(Phase::Serving);
        let case = WireCase::learn().await;
        let mut stop = std::pin::pin!(stop);
        loop {
            let next = async {
                // At the cap nothing is accepted: the system's queue holds the rest.
                let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
                (slot, self.accept().await)
            };
            let (slot, (stream, peer)) = tokio::select! {
                biased;
                () = &mut stop => break,
                next = next => next,
            };
            let arrival = Arrival { peer, local: self.address, tls: self.tls.is_some() };
            let conversation = connection::converse(
                stream,
                self.tls.clone(),
                connection::Terms {
                    arrival,
                    limits: self.limits,
                    phase: watched.clone(),
                    case: case.clone(),
                },
                handler.clone(),
            );
            tokio::spawn(async move {
                conversation.await;
                drop(slot);
            });
        }
        let limits = self.limits;
        drop(self.socket);
        drain(&slots, capacity, &phase, limits.stop_timeout).await
    }

    /// The next connection. Failures are told and waited out.
    async fn accept(&self) -> (TcpStream, SocketAddr) {
        let mut pause = PAUSE_MIN;
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    return (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port()));
                }
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    // Out of descriptors or memory: the queue stays readable, so without a pause
                    // this loop would spin.
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

/// Waits until every connection has ended, first kindly, then not.
async fn drain(
    slots: &Semaphore,
    capacity: usize,
    phase: &watch::Sender<Phase>,
    stop_timeout: Duration,
) -> Stopped {
    let everything = u32::try_from(capacity).unwrap_or(u32::MAX);
    phase.send_replace(Phase::Draining);
    if tokio::time::timeout(stop_timeout, slots.acquire_many(everything)).await.is_ok() {
        return Stopped { cut_off: 0 };
    }
    let cut_off = capacity.saturating_sub(slots.available_permits());
    tracing::warn!(cut_off, "requests still in flight after the time allowed for stopping are cut off");
    phase.send_replace(Phase::Closing);
    let _all = slots.acquire_many(everything).await;
    Stopped { cut_off }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}
