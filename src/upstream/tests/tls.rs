//! TLS: verified, always.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::{bytes, client, get, message, patient};
use crate::fallback::{Place, Upstream, UrlPrefix};
use crate::upstream::Config;

/// A server for one name, and its certificate in PEM. It ends each connection after an answer.
async fn serve(name: &str) -> (u16, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("an identity");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut received = Vec::new();
                while !received.ends_with(b"\r\n\r\n") {
                    if !matches!(stream.read_buf(&mut received).await, Ok(1..)) {
                        return;
                    }
                }
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await);
                drop(stream.shutdown().await);
            });
        }
    });
    (port, made.cert.pem())
}

fn upstream(port: u16) -> Upstream {
    let prefix = UrlPrefix::parse(&format!("https://localhost:{port}/")).expect("a prefix");
    Upstream::new(Place::Url(prefix), Vec::new())
}

#[tokio::test]
async fn certificates_are_verified_against_the_roots_and_the_name() {
    for (name, is_trusted, expected) in
        [("localhost", true, true), ("localhost", false, false), ("other.example", true, false)]
    {
        let (port, pem) = serve(name).await;
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), pem).expect("it is written");
        let ca_file = is_trusted.then(|| file.path().to_owned());
        let client = client(Config { ca_file, ..patient() });
        let answer = get(&client, &upstream(port)).await;
        if expected {
            assert_eq!(bytes(answer).await.expect("whole"), "hello");
        } else {
            let told = message(answer);
            assert!(told.contains("certificate"), "{name} {is_trusted}: {told}");
        }
    }
}
