//! Time-outs, tries, permits and the breaker.

use std::time::{Duration, Instant};

use super::server::{Reply, Server};
use super::{SHORT, bucket, bytes, client, get, key, message, patient, plain};
use crate::upstream::{Config, Error, Hops};

#[tokio::test]
async fn trouble_that_passes_is_not_seen() {
    for trouble in [
        Reply::answer(429, "", ""),
        Reply::answer(500, "", ""),
        Reply::answer(502, "", ""),
        Reply::answer(503, "", "<Error/>"),
        Reply::answer(504, "", ""),
        Reply::Last(Vec::new()),
        Reply::Last(b"HTTP/1.1 200 OK\r\nContent-".to_vec()),
        Reply::Last(b"\x16\x03\x01 this is not HTTP\r\n\r\n".to_vec()),
    ] {
        let server =
            Server::replies(&[trouble.clone(), trouble.clone(), Reply::answer(200, "", "hello")]).await;
        let client = client(Config { retries: 2, ..patient() });
        let upstream = plain(server.address);
        assert_eq!(
            bytes(get(&client, &upstream).await).await.expect("the third try"),
            "hello",
            "{trouble:?}"
        );
        let health = &client.health()[0];
        assert_eq!((health.requests, health.failures, health.last_error.clone()), (3, 2, None));
    }
}

#[tokio::test]
async fn trouble_that_stays_is_tried_as_often_as_may_be() {
    let server = Server::replies(&[Reply::answer(500, "", "")]).await;
    let client = client(Config { retries: 2, ..patient() });
    let told = message(get(&client, &plain(server.address)).await);
    assert!(told.contains("answered with status 500"), "{told}");
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn refusals_are_not_tried_again() {
    for status in [400, 403, 501] {
        let server = Server::replies(&[Reply::answer(status, "", "")]).await;
        let client = client(Config { retries: 2, ..patient() });
        message(get(&client, &plain(server.address)).await);
        assert_eq!(server.count(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_times_out_and_is_tried_again() {
    let server = Server::replies(&[Reply::Stall(b"HTTP/1.1 200".to_vec())]).await;
    let client = client(Config { head_timeout: SHORT, retries: 1, ..patient() });
    let error = get(&client, &plain(server.address)).await.expect_err("no head comes");
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    let health = &client.health()[0];
    assert_eq!((health.requests, health.failures), (2, 2));
}

#[tokio::test]
async fn a_handshake_that_does_not_end_times_out() {
    // It accepts, and is silent where the beginning of TLS is waited for.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let prefix = crate::fallback::UrlPrefix::parse(&format!("https://{address}/")).expect("a prefix");
    let upstream = crate::fallback::Upstream::new(crate::fallback::Place::Url(prefix), Vec::new());
    let client = client(Config { connect_timeout: SHORT, ..patient() });
    let error = get(&client, &upstream).await.expect_err("no connection");
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    drop(listener);
}

#[tokio::test]
async fn waiting_for_a_turn_ends_and_is_not_upstreams_fault() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello".to_vec();
    let server = Server::replies(&[Reply::Stall(head), Reply::answer(200, "", "hello")]).await;
    let config = Config {
        connections_max: 1,
        head_timeout: Duration::from_secs(1),
        retries: 3,
        breaker_failures: 1,
        ..patient()
    };
    let client = client(config);
    let upstream = plain(server.address);
    let first = get(&client, &upstream).await.expect("a head").expect("it is there");
    let error = get(&client, &upstream).await.expect_err("the only place is taken");
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    assert!(error.to_string().contains("connections in [upstream]"), "{error}");
    assert_eq!(server.count(), 1);
    assert!(!client.health()[0].down);
    drop(first);
    assert_eq!(bytes(get(&client, &upstream).await).await.expect("there is room again"), "hello");
}

#[tokio::test]
async fn who_has_waited_for_a_turn_has_the_whole_time_for_an_answer() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello".to_vec();
    let server = Server::replies(&[Reply::Stall(head), Reply::Stall(Vec::new())]).await;
    let head_timeout = Duration::from_secs(1);
    let client = client(Config { connections_max: 1, head_timeout, ..patient() });
    let upstream = plain(server.address);
    let first = get(&client, &upstream).await.expect("a head").expect("it is there");
    let asked = Instant::now();
    let mut second = Box::pin(get(&client, &upstream));
    tokio::select! {
        biased;
        _ = &mut second => panic!("the only place is taken"),
        () = tokio::task::yield_now() => {}
    }
    while asked.elapsed() < head_timeout / 4 {
        tokio::task::yield_now().await;
    }
    drop(first);
    let admitted = Instant::now();
    let error = second.await.expect_err("no head comes");
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert!(admitted.elapsed() >= head_timeout, "only {:?}", admitted.elapsed());
}

#[tokio::test]
async fn bodies_keep_neither_heads_nor_listings_waiting() {
    let server = Server::start(|_, request| match request.split(['?', ' ']).collect::<Vec<_>>()[..] {
        ["HEAD", ..] => Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_vec()),
        ["GET", "/prod", ..] => Reply::answer(200, "", "<ListBucketResult/>"),
        _ => Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello".to_vec()),
    })
    .await;
    let client = client(Config { connections_max: 1, head_timeout: Duration::from_secs(1), ..patient() });
    let (upstream, hops) = (bucket(server.address, false), Hops::default());
    let body = get(&client, &upstream).await.expect("a head").expect("it is there");
    let head = client.head(&upstream, &key("b"), &hops).await.expect("it need not wait");
    assert_eq!(head.and_then(|head| head.size_bytes), Some(9));
    let ask = super::lists::ask();
    assert!(client.list(&upstream, &ask, &hops).await.expect("nor need this").entries.is_empty());
    let told = message(get(&client, &upstream).await);
    assert!(told.contains("(connections in [upstream])"), "{told}");
    drop(body);
}

#[tokio::test]
async fn a_request_has_a_time_for_its_turn_and_all_its_tries() {
    let server = Server::replies(&[Reply::Stall(Vec::new())]).await;
    let request_timeout = Some(SHORT);
    let client = client(Config { request_timeout, retries: 9, ..patient() });
    let error = get(&client, &plain(server.address)).await.expect_err("no head comes");
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert_eq!(client.health()[0].requests, 1);
}

#[tokio::test]
async fn a_listing_that_drips_ends_with_the_time_of_its_request() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n<ListBucketResult>".to_vec();
    let server = Server::replies(&[Reply::Drip(head)]).await;
    let client = client(Config { request_timeout: Some(Duration::from_millis(300)), ..patient() });
    let (upstream, ask) = (bucket(server.address, false), super::lists::ask());
    let error = client.list(&upstream, &ask, &Hops::default()).await.expect_err("it never ends");
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    let index =
        client.index_page(&plain(server.address), "", &Hops::default()).await.expect_err("nor does this");
    assert!(matches!(index, Error::TimedOut { .. }), "{index}");
}

#[tokio::test]
async fn time_outs_are_tried_again_only_once() {
    let server = Server::replies(&[Reply::Stall(Vec::new())]).await;
    let client = client(Config { head_timeout: SHORT, retries: 9, ..patient() });
    let error = get(&client, &plain(server.address)).await.expect_err("no head comes");
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert_eq!(client.health()[0].requests, 2);
}

#[tokio::test]
async fn an_upstream_that_fails_and_fails_is_left_alone() {
    let server = Server::replies(&[Reply::answer(500, "", "")]).await;
    let client = client(Config { breaker_failures: 3, retries: 1, ..patient() });
    let upstream = plain(server.address);
    message(get(&client, &upstream).await);
    assert!(!client.health()[0].down);
    // The third failure opens it, so that the fourth try is not made.
    assert!(message(get(&client, &upstream).await).contains("status 500"));
    assert_eq!(server.count(), 3);
    let health = client.health().remove(0);
    assert!(health.down);
    assert!(health.last_error.is_some_and(|last| last.contains("500")));
    let error = get(&client, &upstream).await.expect_err("it is left alone");
    assert!(matches!(&error, Error::Down { .. }), "{error}");
    assert!(error.to_string().contains("500"), "{error}");
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn one_trial_finds_out_whether_it_is_back() {
    let server = Server::replies(&[
        Reply::answer(500, "", ""),
        Reply::answer(500, "", ""),
        Reply::answer(200, "", "hello"),
    ])
    .await;
    let client = client(Config { breaker_failures: 1, breaker_pause: Duration::from_millis(1), ..patient() });
    let upstream = plain(server.address);
    let mut bad = 0;
    let text = loop {
        match bytes(get(&client, &upstream).await).await {
            Ok(text) => break text,
            Err(Error::Bad { .. }) => bad += 1,
            Err(Error::Down { .. }) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
        assert!(client.health()[0].down);
    };
    assert_eq!((text.as_str(), bad, server.count()), ("hello", 2, 3));
    assert!(!client.health()[0].down);
}

#[tokio::test]
async fn a_trial_whose_client_leaves_makes_room_for_another() {
    let server = Server::replies(&[
        Reply::answer(500, "", ""),
        Reply::Stall(Vec::new()),
        Reply::answer(200, "", "hello"),
    ])
    .await;
    let client = client(Config { breaker_failures: 1, breaker_pause: Duration::ZERO, ..patient() });
    let upstream = plain(server.address);
    message(get(&client, &upstream).await);
    let mut arrived = server.arrived.clone();
    tokio::select! {
        _ = get(&client, &upstream) => panic!("no answer comes"),
        _ = arrived.wait_for(|count| *count == 2) => {}
    }
    assert_eq!(bytes(get(&client, &upstream).await).await.expect("another trial"), "hello");
}

#[tokio::test]
async fn upstreams_have_budgets_of_their_own() {
    let broken = Server::replies(&[Reply::answer(500, "", "")]).await;
    let fine = Server::replies(&[Reply::answer(200, "", "hello")]).await;
    let client = client(Config { breaker_failures: 1, ..patient() });
    message(get(&client, &plain(broken.address)).await);
    assert_eq!(bytes(get(&client, &plain(fine.address)).await).await.expect("whole"), "hello");
    let down: Vec<_> =
        client.health().into_iter().filter(|health| health.down).map(|health| health.name).collect();
    assert_eq!(down, [plain(broken.address).name()]);
}
