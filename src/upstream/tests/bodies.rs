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

/// RFC 9112 section 6.3. hyper reads the chunks and leaves the length in the head.
#[tokio::test]
async fn an_answer_that_is_framed_twice_or_coded_for_the_transfer_is_refused() {
    let chunks = "\r\n2\r\nhe\r\n0\r\n\r\n";
    for (head, told) in [
        ("200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", "framed its answer twice"),
        ("200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 2", "framed its answer twice"),
        ("404 No\r\nTransfer-Encoding: chunked\r\nContent-Length: 2", "framed its answer twice"),
        (
            "302 No\r\nLocation: /pub/b\r\nTransfer-Encoding: chunked\r\nContent-Length: 2",
            "framed its answer twice",
        ),
        ("200 OK\r\nTransfer-Encoding: gzip, chunked", "but not as chunks"),
        ("200 OK\r\nTransfer-Encoding: gzip", "but not as chunks"),
        ("200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "but not as chunks"),
        ("200 OK\r\nTransfer-Encoding:", "but not as chunks"),
    ] {
        let reply = Reply::Last(format!("HTTP/1.1 {head}\r\n{chunks}").into_bytes());
        let server = Server::replies(&[reply]).await;
        let refused = message(get(&client(patient()), &plain(server.address)).await);
        assert!(refused.contains(told), "{head}: {refused}");
        assert_eq!(server.count(), 1, "{head}");
    }
    let old = Reply::Last(format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n{chunks}").into_bytes());
    let server = Server::replies(&[old]).await;
    message(get(&client(patient()), &plain(server.address)).await);
}

/// What hyper bounds: nothing here grows with what upstream sends.
#[tokio::test]
async fn heads_extensions_and_trailers_without_end_are_errors() {
    let headers = (0..200).map(|number| format!("x-{number}: y\r\n")).collect::<Vec<_>>().concat();
    let long = format!("x-a: {}\r\n", "y".repeat(1 << 20));
    for head in [headers, long] {
        let reply = Reply::Last(format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes());
        let server = Server::replies(&[reply]).await;
        message(get(&client(patient()), &plain(server.address)).await);
    }
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let extension = format!("{chunked}2;{}\r\nhe\r\n0\r\n\r\n", "x".repeat(1 << 20));
    let trailers = format!("{chunked}2\r\nhe\r\n0\r\n{}\r\n", "x-a: y\r\n".repeat(1 << 17));
    for text in [extension, trailers] {
        let server = Server::replies(&[Reply::Last(text.into_bytes())]).await;
        let answer = get(&client(patient()), &plain(server.address)).await;
        message(bytes(answer).await);
    }
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n".to_vec();
    let server = Server::replies(&[Reply::Drip(head)]).await;
    let stall_timeout = std::time::Duration::from_secs(1);
    let client = client(Config { stall_timeout, rate_min_bytes: 1 << 20, ..patient() });
    let error = bytes(get(&client, &plain(server.address)).await).await.expect_err("it never ends");
    // A machine that is busy for a second has stalled instead.
    let is_too_slow = error.to_string().contains("min_rate in [upstream]");
    assert!(is_too_slow || matches!(error, Error::TimedOut { .. }), "{error}");
    assert_eq!(client.health()[0].failures, 1);
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
