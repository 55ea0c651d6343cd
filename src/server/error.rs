//! Why the server could not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}. {}", advice(source, *.address))]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate or key file cannot be read, or holds nothing usable.
    #[error("cannot use {} as the TLS {what}: {reason}. It must be a PEM file", path.display())]
    Pem {
        /// What the file should hold.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key were read but do not make a server's identity together.
    #[error("{} and {} do not go together: {source}. Check that the key is that of the first certificate", certificate.display(), key.display())]
    Identity {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What the TLS library said.
        source: tokio_rustls::rustls::Error,
    },
}

/// What to do about an address that cannot be listened on.
fn advice(source: &io::Error, address: SocketAddr) -> String {
    let kind = source.kind();
    if kind == io::ErrorKind::AddrInUse {
        return format!(
            "Another program listens on port {} already: stop it, or choose another port with --listen \
             (port 0 takes a free one)",
            address.port()
        );
    }
    if kind == io::ErrorKind::AddrNotAvailable {
        return format!(
            "This machine has no address {}: use 127.0.0.1 for this machine only, or 0.0.0.0 for every \
             network it is on",
            address.ip()
        );
    }
    if kind == io::ErrorKind::PermissionDenied {
        return "Ports below 1024 need a privilege: choose a higher one with --listen".to_owned();
    }
    "Choose another address with --listen".to_owned()
}
