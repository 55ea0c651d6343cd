//! Bodies that break off, stall, or are not wanted to their end.

use super::server::{Reply, Server};
use super::{SHORT, bytes, chunk, client, get, message, patient, plain};
use crate::upstream::{Config, Error};

#[tokio::test]
async fn a_body_that_is_cut_off_is_an_error_and_not_an_end() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for reply in [
        Reply::cut(200, "", "hell"),
        Reply::Last(format!("{chunked}5\r\nhello\r\n").into_bytes()),
        Reply::Last(format!("{chunked}5\r\nhel").into_bytes()),
        Reply::Last(format!("{chunked}5\r\nhello\r\nzz\r\n").into_bytes()),
    ] {
        let server = Server::replies(std::slice::from_ref(&reply)).await;
        let client = client(Config { retries: 3, ..patient() });
        let upstream = plain(server.address);
        let told = message(bytes(get(&client, &upstream).await).await);
        assert!(told.contains("broke off within the body"), "{reply:?}: {told}");
        assert_eq!(server.count(), 1, "nothing is tried again once there was a head");
        let health = &client.health()[0];
        assert_eq!(health.failures, 1);
        assert!(health.last_error.is_some());
    }
}

#[tokio::test]
async fn bodies_in_chunks_and_to_the_end_of_the_connection_come_whole() {
    for (text, remaining, is_framed) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", None, true),
        ("HTTP/1.0 200 OK\r\n\r\nhello", None, false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", Some(5), true),
    ] {
        let server = Server::replies(&[Reply::Last(text.as_bytes().to_vec())]).await;
        let answer = get(&client(patient()), &plain(server.address)).await;
        let body = answer.as_ref().expect("an answer").as_ref().map(|answer| &answer.body);
        let found = body.map(|body| (body.remaining(), body.is_framed()));
        assert_eq!(found, Some((remaining, is_framed)));
        assert_eq!(bytes(answer).await.expect("whole"), "hello");
    }
}

#[tokio::test]
async fn a_body_that_stalls_times_out() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello".to_vec();
    let server = Server::replies(&[Reply::Stall(head)]).await;
    let client = client(Config { stall_timeout: SHORT, ..patient() });
    let answer = get(&client, &plain(server.address)).await.expect("a head").expect("it is there");
    let mut body = answer.body;
    assert_eq!(chunk(&mut body).await.expect("bytes").expect("they are there"), "hello");
    assert_eq!(body.remaining(), Some(4));
    assert!(matches!(chunk(&mut body).await, Some(Err(Error::TimedOut { .. }))));
    assert!(chunk(&mut body).await.is_none(), "nothing follows an error");
}

#[tokio::test]
async fn dropping_a_body_ends_the_transfer_and_makes_room() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n".to_vec();
    let mut server = Server::replies(&[Reply::Endless(head.clone()), Reply::answer(200, "", "hello")]).await;
    let client = client(Config { connections_max: 1, ..patient() });
    let upstream = plain(server.address);
    let mut answer = get(&client, &upstream).await.expect("a head").expect("it is there");
    chunk(&mut answer.body).await.expect("bytes").expect("they come");
    drop(answer);
    assert_eq!(bytes(get(&client, &upstream).await).await.expect("there is room again"), "hello");
    server.broken_off.wait_for(|count| *count == 1).await.expect("the transfer ends");
}

#[tokio::test]
async fn connections_are_used_again_also_after_errors_with_a_page() {
    let server = Server::replies(&[Reply::answer(404, "", &"x".repeat(5000))]).await;
    let client = client(patient());
    let upstream = plain(server.address);
    for _ in 0..20 {
        assert!(get(&client, &upstream).await.expect("an answer").is_none());
    }
    // Not always: a connection may come back a moment after the next request has asked for one.
    assert_eq!(server.count(), 20);
    assert!(server.connections() <= 10, "{} connections", server.connections());
}
