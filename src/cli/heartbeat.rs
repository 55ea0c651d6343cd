//! Asking a server for its heartbeat, as a load balancer would.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme,
};

use crate::server::certificates;

/// What a server said.
#[derive(Debug)]
pub(super) struct Heartbeat {
    pub(super) status: StatusCode,
    /// The beginning of what it said.
    pub(super) text: String,
    pub(super) elapsed: Duration,
}

/// Why a server cannot be asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unasked {
    /// The address is no good: nothing was asked.
    #[error("{0:?} is not an address of a server: write http://HOST:PORT")]
    Address(String),
    /// There is no certificate to know the server by: nothing was asked.
    #[error("to ask a server by https, name its certificate with --tls-cert (or UNDERSTUDY_TLS_CERT)")]
    NoCertificate,
    /// The certificate cannot be used: nothing was asked.
    #[error(transparent)]
    Certificate(#[from] crate::server::Error),
    /// Nobody answers.
    #[error("{address} does not answer: {reason}")]
    NoAnswer { address: String, reason: String },
}

impl Unasked {
    /// Whether the fault is the server's.
    pub(super) fn is_the_servers(&self) -> bool {
        matches!(self, Self::NoAnswer { .. })
    }
}

/// More than any heartbeat says.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Asks the server at `url`, which is known by `certificate` if it speaks TLS.
pub(super) async fn ask(
    url: &str,
    certificate: Option<&Path>,
    patience: Duration,
) -> Result<Heartbeat, Unasked> {
    let uri: Uri = url.parse().map_err(|_| Unasked::Address(url.to_owned()))?;
    let host = uri.host().ok_or_else(|| Unasked::Address(url.to_owned()))?.to_owned();
    let tls = match uri.scheme_str() {
        Some("http") => None,
        Some("https") => Some(connector(certificate.ok_or(Unasked::NoCertificate)?)?),
        _ => return Err(Unasked::Address(url.to_owned())),
    };
    let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let no_answer = |reason: String| Unasked::NoAnswer { address: url.to_owned(), reason };
    let exchange = async {
        let started = Instant::now();
        let stream =
            TcpStream::connect((bare.as_str(), port)).await.map_err(|error| no_answer(error.to_string()))?;
        let (status, text) = match tls {
            None => exchange(stream, &uri).await,
            Some(connector) => {
                let name =
                    ServerName::try_from(bare.clone()).map_err(|_| Unasked::Address(url.to_owned()))?;
                let stream =
                    connector.connect(name, stream).await.map_err(|error| no_answer(error.to_string()))?;
                exchange(stream, &uri).await
            }
        }
        .map_err(no_answer)?;
        Ok(Heartbeat { status, text, elapsed: started.elapsed() })
    };
    let waited = tokio::time::timeout(patience, exchange).await;
    waited.unwrap_or_else(|_| Err(no_answer(format!("nothing within {} ms", patience.as_millis()))))
}

/// One request and its answer.
async fn exchange<S>(stream: S, uri: &Uri) -> Result<(StatusCode, String), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let told = |error: hyper::Error| super::failure::chain(&error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
    let connection = tokio::spawn(connection);
    let path = match uri.path() {
        "" | "/" => "/__heartbeat__",
        path => path,
    };
    let host = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, concat!("understudy-check/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(told)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), TEXT_BYTES_MAX).collect().await;
    connection.abort();
    let bytes = body.map_err(|error| error.to_string())?.to_bytes();
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

fn connector(certificate: &Path) -> Result<TlsConnector, Unasked> {
    let provider = Arc::new(ring::default_provider());
    let verifier = SameCertificate { known: certificates(certificate)?, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Unasked::Address(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Knows a server by its very certificate. Names are not compared: a container asks itself by
/// 127.0.0.1, and its certificate is for another name.
#[derive(Debug)]
struct SameCertificate {
    known: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for SameCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        if self.known.iter().any(|known| known == end_entity) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(TlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
