//! Redirects that upstreams send.

use super::server::{Reply, Server, header};
use super::{bucket, bytes, client, get, message, patient, plain};
use crate::fallback::{Place, Upstream, UrlPrefix};
use crate::model::SessionToken;
use crate::upstream::Config;

#[tokio::test]
async fn redirects_within_the_host_list_are_followed() {
    let cdn = Server::replies(&[Reply::answer(200, "", "hello")]).await;
    let address = format!("http://localhost:{}/x?token=1", cdn.address.port());
    let server = Server::replies(&[Reply::redirect("/pub/elsewhere"), Reply::redirect(&address)]).await;
    let prefix = UrlPrefix::parse(&format!("http://{}/pub/", server.address)).expect("a prefix");
    let upstream = Upstream::new(Place::Url(prefix), vec![format!("localhost:{}", cdn.address.port())]);
    assert_eq!(bytes(get(&client(patient()), &upstream).await).await.expect("whole"), "hello");
    assert!(server.requests()[1].starts_with("GET /pub/elsewhere "));
    let asked = cdn.requests().remove(0);
    assert!(asked.starts_with("GET /x?token=1 "), "{asked}");
    assert!(header(&asked, "host").is_some_and(|host| host.starts_with("localhost:")));
}

#[tokio::test]
async fn redirects_to_other_hosts_are_not_followed_nor_tried_again() {
    let evil = Server::replies(&[Reply::answer(200, "", "evil")]).await;
    let address = format!("http://localhost:{}/x?token=secret", evil.address.port());
    let server = Server::replies(&[Reply::redirect(&address)]).await;
    let client = client(Config { retries: 3, ..patient() });
    let told = message(get(&client, &plain(server.address)).await);
    assert!(told.contains("redirects to localhost") && !told.contains("secret"), "{told}");
    assert_eq!((server.count(), evil.count()), (1, 0));
}

#[tokio::test]
async fn redirects_to_a_port_that_nobody_has_named_are_not_followed() {
    // The same host, and so allowed, but whatever listens there is not production.
    let inner = Server::replies(&[Reply::answer(200, "", "inner")]).await;
    let server = Server::replies(&[Reply::redirect(&format!("http://{}/x", inner.address))]).await;
    let told = message(get(&client(patient()), &plain(server.address)).await);
    assert!(told.contains(&format!("redirects to 127.0.0.1 at port {}", inner.address.port())), "{told}");
    assert_eq!((server.count(), inner.count()), (1, 0));
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let server = Server::replies(&[Reply::redirect("/pub/a")]).await;
    let told = message(get(&client(patient()), &plain(server.address)).await);
    assert!(told.contains("redirects more than 5 times"), "{told}");
    assert_eq!(server.count(), 6);
}

#[tokio::test]
async fn a_redirect_without_an_address_is_an_error() {
    for headers in ["", "Location: \r\n", "Location: ../../x\r\n"] {
        let server = Server::replies(&[Reply::answer(301, headers, "<Error/>")]).await;
        let told = message(get(&client(patient()), &plain(server.address)).await);
        assert!(told.contains("without an address"), "{told}");
    }
}

#[tokio::test]
async fn a_session_token_is_signed_and_goes_to_no_other_server() {
    let other = Server::replies(&[Reply::answer(200, "", "hello")]).await;
    let server = Server::replies(&[Reply::redirect(&format!("http://{}/prod/a", other.address))]).await;
    let with_keys = bucket(server.address, true);
    let token = SessionToken::parse("of-an-hour/+==").expect("a token");
    let own = with_keys.place().bucket().expect("a bucket").clone().with_session_token(token);
    let upstream = Upstream::new(Place::S3(own), vec![other.address.to_string()]);
    assert!(!format!("{upstream:?}").contains("of-an-hour"));
    assert_eq!(bytes(get(&client(patient()), &upstream).await).await.expect("whole"), "hello");
    let asked = server.requests().remove(0);
    assert_eq!(header(&asked, "x-amz-security-token"), Some("of-an-hour/+=="));
    let authorization = header(&asked, "authorization").expect("it is signed");
    assert!(authorization.contains("x-amz-security-token"), "{authorization}");
    assert_eq!(header(&other.requests().remove(0), "x-amz-security-token"), None);
}

#[tokio::test]
async fn our_signature_goes_to_no_other_server() {
    // The same host, and by its own entry allowed, but another port.
    let other = Server::replies(&[Reply::answer(200, "", "hello")]).await;
    let address = format!("http://{}/prod/a", other.address);
    let server = Server::replies(&[Reply::redirect("/prod/moved?x=1"), Reply::redirect(&address)]).await;
    let own = bucket(server.address, true).place().clone();
    let upstream = Upstream::new(own, vec![other.address.to_string()]);
    assert_eq!(bytes(get(&client(patient()), &upstream).await).await.expect("whole"), "hello");
    for request in server.requests() {
        super::reads::verify(&request);
    }
    let asked = other.requests().remove(0);
    for name in ["authorization", "x-amz-date", "x-amz-content-sha256"] {
        assert_eq!(header(&asked, name), None);
    }
}
