//! One request to a server of ours and its answer, by plain HTTP/1.1 or TLS.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
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

/// A server that can be asked.
pub(super) struct Peer {
    url: String,
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Peer").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Peer {
    /// The server at `url`, which is known by `certificate` if it speaks TLS.
    pub(super) fn new(url: &str, certificate: Option<&Path>) -> Result<Self, Unasked> {
        let refused = || Unasked::Address(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| refused())?;
        let host = uri.host().ok_or_else(refused)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => Some(connector(certificate.ok_or(Unasked::NoCertificate)?)?),
            _ => return Err(refused()),
        };
        let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        Ok(Self { url: url.to_owned(), uri, host, port, tls })
    }

    /// Its address, as it was given.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The path of its address.
    pub(super) fn path(&self) -> &str {
        self.uri.path()
    }

    /// What requests say in `Host`.
    pub(super) fn authority(&self) -> &str {
        self.uri.authority().map(http::uri::Authority::as_str).unwrap_or_default()
    }

    /// Asks it: the status, and the beginning of what it says.
    pub(super) async fn send<B>(
        &self,
        request: Request<B>,
        bytes_max: usize,
    ) -> Result<(StatusCode, Bytes), Unasked>
    where
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        self.ask(request, bytes_max).await.map(|(head, bytes)| (head.status, bytes))
    }

    /// Asks it: the head of the answer, and the beginning of what it says.
    pub(super) async fn ask<B>(
        &self,
        mut request: Request<B>,
        bytes_max: usize,
    ) -> Result<(Parts, Bytes), Unasked>
    where
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let host = HeaderValue::from_str(self.authority()).map_err(|_| Unasked::Address(self.url.clone()))?;
        request.headers_mut().insert(header::HOST, host);
        let no_answer = |reason: String| Unasked::NoAnswer { address: self.url.clone(), reason };
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|error| no_answer(error.to_string()))?;
        match &self.tls {
            None => exchange(stream, request, bytes_max).await,
            Some(connector) => {
                let name = ServerName::try_from(self.host.clone())
                    .map_err(|_| Unasked::Address(self.url.clone()))?;
                let stream =
                    connector.connect(name, stream).await.map_err(|error| no_answer(error.to_string()))?;
                exchange(stream, request, bytes_max).await
            }
        }
        .map_err(no_answer)
    }
}

/// One request and its answer.
async fn exchange<S, B>(stream: S, request: Request<B>, bytes_max: usize) -> Result<(Parts, Bytes), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let told = |error: hyper::Error| super::failure::chain(&error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(told)?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, bytes_max).collect().await;
    connection.abort();
    let bytes = body.map_err(|error| error.to_string())?.to_bytes();
    Ok((head, bytes))
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
