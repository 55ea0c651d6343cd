//! Listings over the wire.

use std::time::Duration;

use http::HeaderMap;

use super::server::{Reply, Server};
use super::{LONG, bucket, client, message, patient, plain};
use crate::upstream::{Config, Hops, ListAsk, ListEntry};

/// The first page of `pub/`.
pub(super) fn ask() -> ListAsk {
    ListAsk {
        prefix: "pub/".to_owned(),
        delimiter: Some("/".to_owned()),
        start_after: String::new(),
        keys_max: 7,
    }
}

const PAGE: &str = "<ListBucketResult><IsTruncated>false</IsTruncated>\
    <Contents><Key>pub/a</Key><Size>5</Size><LastModified>2026-11-20T21:20:19.123Z</LastModified></Contents>\
    <CommonPrefixes><Prefix>pub/b/</Prefix></CommonPrefixes></ListBucketResult>";

#[tokio::test]
async fn a_page_is_asked_for_signed_and_read() {
    let server = Server::replies(&[Reply::answer(200, "", PAGE)]).await;
    let asked = ListAsk { start_after: "pub/ä &".to_owned(), ..ask() };
    let page = client(patient()).list(&bucket(server.address, true), &ask(), &Hops::default()).await;
    let page = page.expect("a page");
    assert!(!page.truncated);
    let [ListEntry::Object(object), ListEntry::CommonPrefix(prefix)] = &page.entries[..] else {
        panic!("{page:?}")
    };
    assert_eq!((object.key.as_str(), object.size_bytes, prefix.as_str()), ("pub/a", Some(5), "pub/b/"));

    message(client(patient()).list(&bucket(server.address, true), &asked, &Hops::default()).await);
    let requests = server.requests();
    let query = "delimiter=%2F&encoding-type=url&list-type=2&max-keys=7&prefix=pub%2F";
    assert_eq!(requests[0].lines().next(), Some(format!("GET /prod?{query} HTTP/1.1").as_str()));
    let query = format!("{query}&start-after=pub%2F%C3%A4%20%26");
    assert_eq!(requests[1].lines().next(), Some(format!("GET /prod?{query} HTTP/1.1").as_str()));
    for request in &requests {
        super::reads::verify(request);
    }
}

#[tokio::test]
async fn equal_questions_are_asked_once_and_pages_are_remembered() {
    let server = Server::replies(&[Reply::answer(200, "", PAGE)]).await;
    let client = client(Config { list_ttl: LONG, ..patient() });
    let (upstream, hops, asked) = (bucket(server.address, false), Hops::default(), ask());
    let (one, two, three) = tokio::join!(
        client.list(&upstream, &asked, &hops),
        client.list(&upstream, &asked, &hops),
        client.list(&upstream, &asked, &hops)
    );
    assert_eq!(one.expect("a page"), two.expect("a page"));
    assert_eq!(three.expect("a page"), client.list(&upstream, &asked, &hops).await.expect("a page"));
    assert_eq!(server.count(), 1);
    let other = ListAsk { delimiter: None, ..ask() };
    message(client.list(&upstream, &ListAsk { prefix: "x".to_owned(), ..other }, &hops).await);
    assert_eq!(server.count(), 2, "another question is asked");
}

#[tokio::test]
async fn equal_questions_at_the_same_time_are_asked_once_even_if_nothing_is_remembered() {
    let server = Server::replies(&[Reply::answer(200, "", PAGE)]).await;
    let client = client(Config { list_ttl: Duration::ZERO, ..patient() });
    let (upstream, hops, asked) = (bucket(server.address, false), Hops::default(), ask());
    let (one, two) =
        tokio::join!(client.list(&upstream, &asked, &hops), client.list(&upstream, &asked, &hops));
    assert_eq!(one.expect("a page"), two.expect("a page"));
    assert_eq!(server.count(), 1);
    client.list(&upstream, &asked, &hops).await.expect("a page");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn who_waits_for_a_page_gets_it_though_the_first_asker_leaves() {
    let server = Server::replies(&[Reply::Stall(Vec::new()), Reply::answer(200, "", PAGE)]).await;
    let client = client(patient());
    let (upstream, hops, asked) = (bucket(server.address, false), Hops::default(), ask());
    let mut arrived = server.arrived.clone();
    let mut waiting = Box::pin(client.list(&upstream, &asked, &hops));
    tokio::select! {
        biased;
        _ = client.list(&upstream, &asked, &hops) => panic!("no answer comes"),
        _ = &mut waiting => panic!("nor to the second"),
        _ = arrived.wait_for(|count| *count == 1) => {}
    }
    assert_eq!(waiting.await.expect("a page").entries.len(), 2);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn failures_are_errors_and_never_short_pages() {
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 40).into_bytes();
    for (reply, expected) in [
        (Reply::answer(404, "", "<Error><Code>NoSuchBucket</Code></Error>"), "status 404"),
        (Reply::answer(403, "", ""), "status 403"),
        (Reply::answer(206, "", PAGE), "status 206"),
        (Reply::answer(200, "", "<html></html>"), "does not read"),
        (Reply::answer(200, "", &PAGE[..PAGE.len() - 1]), "does not read"),
        (Reply::cut(200, "", PAGE), "broke off"),
        (Reply::Endless(long), "too long"),
    ] {
        let server = Server::replies(std::slice::from_ref(&reply)).await;
        let told =
            message(client(patient()).list(&bucket(server.address, false), &ask(), &Hops::default()).await);
        assert!(told.contains(expected), "{told}");
    }
}

#[tokio::test]
async fn trouble_that_passes_is_not_seen_in_listings() {
    let server = Server::replies(&[Reply::answer(503, "", ""), Reply::answer(200, "", PAGE)]).await;
    let client = client(Config { retries: 1, ..patient() });
    let page = client.list(&bucket(server.address, false), &ask(), &Hops::default()).await;
    assert_eq!(page.expect("a page").entries.len(), 2);
}

#[tokio::test]
async fn empty_pages_are_followed_by_their_token() {
    let empty = "<ListBucketResult><IsTruncated>true</IsTruncated>\
        <NextContinuationToken>a/+=</NextContinuationToken></ListBucketResult>";
    let server = Server::replies(&[Reply::answer(200, "", empty), Reply::answer(200, "", PAGE)]).await;
    let page = client(patient()).list(&bucket(server.address, false), &ask(), &Hops::default()).await;
    assert_eq!(page.expect("a page").entries.len(), 2);
    assert!(server.requests()[1].starts_with("GET /prod?continuation-token=a%2F%2B%3D&"));

    let server = Server::replies(&[Reply::answer(200, "", empty)]).await;
    let told =
        message(client(patient()).list(&bucket(server.address, false), &ask(), &Hops::default()).await);
    assert!(told.contains("empty page"), "{told}");
}

#[tokio::test]
async fn plain_addresses_cannot_be_listed() {
    let server = Server::replies(&[Reply::answer(200, "", PAGE)]).await;
    let hops = Hops::read(&HeaderMap::new());
    message(client(patient()).list(&plain(server.address), &ask(), &hops).await);
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn an_empty_page_that_leads_to_itself_is_asked_for_once_more_and_no_oftener() {
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated>\
        <NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
    let server = Server::replies(&[Reply::answer(200, "", page)]).await;
    let listed = client(patient()).list(&bucket(server.address, false), &ask(), &Hops::default()).await;
    assert!(message(listed).contains("the same empty page"));
    assert_eq!(server.count(), 2);
}
