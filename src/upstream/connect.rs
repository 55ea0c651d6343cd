//! Connections: names to addresses without the C library, TCP, TLS that always verifies.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, NameServerConfigGroup, ResolveHosts, ResolverConfig};
use hickory_resolver::name_server::TokioConnectionProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use tower_service::Service;

use super::names::Names;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a connection that carries nothing is kept alive by the network before it is probed.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// Makes connections, each within a time.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector<Resolver>>,
    timeout: Duration,
}

impl Connector {
    /// Trusts the roots of Mozilla's programme, which are part of the program, and those in `ca_file`.
    pub(super) fn new(timeout: Duration, ca_file: Option<&Path>, names: Names) -> io::Result<Self> {
        let mut http = HttpConnector::new_with_resolver(Resolver::new(names));
        // `http://` is for upstreams that are configured so; redirects never lead from https:// to it.
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(KEEPALIVE));
        // Shared out among the addresses of a name, so that a dead one leaves time for the next.
        http.set_connect_timeout(Some(timeout));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls(ca_file)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self { https, timeout })
    }
}

fn tls(ca_file: Option<&Path>) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_file {
        let refused = |reason: &dyn std::fmt::Display| {
            io::Error::new(io::ErrorKind::InvalidData, format!("ca_file {}: {reason}", path.display()))
        };
        let before = roots.len();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| refused(&error))? {
            let certificate = certificate.map_err(|error| refused(&error))?;
            roots.add(certificate).map_err(|error| refused(&error))?;
        }
        if roots.len() == before {
            return Err(refused(&"it holds no certificate"));
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error: rustls::Error| io::Error::other(error))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.timeout, self.https.call(uri));
        Box::pin(async move {
            connecting.await.unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "no connection within the time allowed").into())
            })
        })
    }
}

/// Turns names into addresses by what is configured, `/etc/hosts` and the name servers of
/// `/etc/resolv.conf`. These files are read at the first question.
#[derive(Clone, Default)]
pub(super) struct Resolver {
    names: Arc<Names>,
    known: Arc<OnceLock<Known>>,
}

/// Who is asked of names that were not pinned: what the machine is configured to know.
struct Known {
    hosts: Hosts,
    servers: TokioResolver,
}

impl Resolver {
    fn new(names: Names) -> Self {
        Self { names: Arc::new(names), known: Arc::default() }
    }

    async fn lookup(self, name: Name) -> io::Result<std::vec::IntoIter<SocketAddr>> {
        let name = name.as_str().trim_end_matches('.');
        if let Some(pinned) = self.names.of(name) {
            let addresses: Vec<_> = pinned.into();
            return Ok(addresses.into_iter());
        }
        if is_loopback(name) {
            let addresses = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
            return Ok(with_port(addresses));
        }
        let known = self.known.get_or_init(|| match self.names.server {
            None => Known::from_system(),
            Some(server) => Known::from_server(server),
        });
        let listed = known.listed(name);
        if !listed.is_empty() {
            return Ok(with_port(listed));
        }
        match known.servers.lookup_ip(name).await {
            Ok(found) => Ok(with_port(found)),
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                Err(io::Error::new(io::ErrorKind::NotFound, format!("the name {name} has no address")))
            }
            Err(error) => Err(io::Error::other(format!("the name {name} cannot be looked up: {error}"))),
        }
    }
}

/// The connector puts in the port that it wants.
fn with_port(addresses: impl IntoIterator<Item = IpAddr>) -> std::vec::IntoIter<SocketAddr> {
    addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect::<Vec<_>>().into_iter()
}

/// RFC 6761 section 6.3: no name server is asked for these.
fn is_loopback(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

impl Known {
    /// A machine without `/etc/resolv.conf` asks itself, as the C library does.
    fn from_system() -> Self {
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "/etc/resolv.conf cannot be used: names are asked of 127.0.0.1");
            let servers = NameServerConfigGroup::from_ips_clear(&[Ipv4Addr::LOCALHOST.into()], 53, true);
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioConnectionProvider::default())
        });
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        Self { hosts: Hosts::from_system().unwrap_or_default(), servers: builder.build() }
    }

    /// One name server and nothing of the machine, which may know production's names as the stage's.
    fn from_server(server: SocketAddr) -> Self {
        let servers = NameServerConfigGroup::from_ips_clear(&[server.ip()], server.port(), true);
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut builder = TokioResolver::builder_with_config(config, TokioConnectionProvider::default());
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        Self { hosts: Hosts::default(), servers: builder.build() }
    }

    /// What `/etc/hosts` says of a name. A name server is not asked for what is missing there: a
    /// name that has one kind of address in the file has no other, and where there is no network an
    /// answer would not come.
    fn listed(&self, name: &str) -> Vec<IpAddr> {
        let Ok(name) = hickory_resolver::Name::from_ascii(name.to_ascii_lowercase()) else {
            return Vec::new();
        };
        let look = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let found = [RecordType::A, RecordType::AAAA].into_iter().filter_map(look);
        found.flat_map(|lookup| lookup.iter().filter_map(RData::ip_addr).collect::<Vec<_>>()).collect()
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Resolver")
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().lookup(name))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::{Arc, OnceLock};
    use std::time::Duration;

    use hyper_util::client::legacy::connect::dns::Name;

    use super::{Connector, Known, Names, Resolver};

    async fn addresses(name: &str) -> Vec<IpAddr> {
        let name: Name = name.parse().expect("any text is a name");
        let found = Resolver::default().lookup(name).await.expect("an address");
        found.map(|address| address.ip()).collect()
    }

    #[tokio::test]
    async fn localhost_is_this_machine_whatever_name_servers_say() {
        for name in ["localhost", "LocalHost.", "prod.localhost"] {
            let found = addresses(name).await;
            assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{name}: {found:?}");
        }
    }

    #[tokio::test]
    async fn names_of_the_hosts_file_are_not_asked_of_servers() {
        let mut known = Known::from_system();
        let file = "192.0.2.1 prod.example cdn # not.example\n2001:db8::1 cdn\n";
        known.hosts.read_hosts_conf(file.as_bytes()).expect("it reads");
        let resolver = Resolver { known: Arc::new(OnceLock::from(known)), ..Resolver::default() };
        for (name, expected) in [
            ("prod.example", &["192.0.2.1"][..]),
            ("PROD.example.", &["192.0.2.1"]),
            ("cdn", &["192.0.2.1", "2001:db8::1"]),
        ] {
            let name: Name = name.parse().expect("any text is a name");
            let found = resolver.clone().lookup(name.clone()).await.expect("addresses");
            let found: Vec<_> = found.map(|address| address.ip().to_string()).collect();
            assert_eq!(found, expected, "{name}");
        }
        let known = resolver.known.get().expect("it is set");
        assert!(known.listed("not.example").is_empty() && known.listed("example").is_empty());
    }

    #[tokio::test]
    async fn a_pinned_name_is_asked_of_nobody() {
        let address = |text: &str| text.parse().expect("an address");
        let pinned = [("prod.example", "192.0.2.7:0"), ("localhost", "192.0.2.8:8443")];
        let pinned = pinned.map(|(name, at)| (name.to_owned(), vec![address(at)])).into();
        // Nothing listens there: a question would fail.
        let names = Names { pinned, server: Some(address("127.0.0.1:1")) };
        let mut known = Known::from_system();
        known.hosts.read_hosts_conf(&b"127.0.0.1 prod.example\n"[..]).expect("it reads");
        let resolver = Resolver { known: Arc::new(OnceLock::from(known)), ..Resolver::new(names) };
        for (name, expected) in [
            ("prod.example", "192.0.2.7:0"),
            ("Prod.Example.", "192.0.2.7:0"),
            ("localhost", "192.0.2.8:8443"),
        ] {
            let name: Name = name.parse().expect("any text is a name");
            let found = resolver.clone().lookup(name.clone()).await.expect("an address");
            assert_eq!(found.collect::<Vec<_>>(), [address(expected)], "{name}");
        }
    }

    #[tokio::test]
    async fn a_name_server_of_the_stage_s_own_stands_for_the_hosts_file_too() {
        use tokio::net::UdpSocket;
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let server = socket.local_addr().expect("an address");
        // Every question for an IPv4 address is answered with 192.0.2.9.
        let answering = tokio::spawn(async move {
            let mut packet = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut packet).await {
                let mut answer = packet[..length].to_vec();
                let end = 12 + answer[12..].iter().position(|byte| *byte == 0).expect("a name") + 5;
                answer.truncate(end);
                let is_ipv4 = answer[end - 4..end - 2] == [0, 1];
                answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
                if is_ipv4 {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 9]);
                }
                socket.send_to(&answer, client).await.expect("it is sent");
            }
        });
        let resolver = Resolver::new(Names { server: Some(server), ..Names::default() });
        let name: Name = "prod.example".parse().expect("any text is a name");
        let found = resolver.lookup(name).await.expect("an address");
        assert_eq!(found.map(|at| at.ip().to_string()).collect::<Vec<_>>(), ["192.0.2.9"]);
        answering.abort();
    }

    #[test]
    fn a_file_of_roots_must_hold_some() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let timeout = Duration::from_secs(1);
        assert!(Connector::new(timeout, Some(file.path()), Names::default()).is_err());
        assert!(Connector::new(timeout, Some("/no/such/file".as_ref()), Names::default()).is_err());
        let made =
            rcgen::generate_simple_self_signed(vec!["prod.example".to_owned()]).expect("a certificate");
        std::fs::write(file.path(), made.cert.pem()).expect("it is written");
        assert!(Connector::new(timeout, Some(file.path()), Names::default()).is_ok());
        assert!(Connector::new(timeout, None, Names::default()).is_ok());
    }
}
