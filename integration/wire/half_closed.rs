//! Clients that say "nothing more from me" behind their request, and wait for its answer.

use super::http::{Connection, exchange};
use super::server::{Server, Setup};

/// `shutdown(SHUT_WR)` behind a request: netcat does it, and so do proxies. RFC 9112 section 9.6 speaks
/// of half-closed connections; an answer is owed as long as the client reads.
#[test]
fn half_closed_clients_get_their_answers_every_time() {
    let mut setup = Setup::with_buckets(&["stage"]);
    setup.args.extend(["--anonymous".into(), "read-write".into()]);
    let server = Server::start(&setup);
    let address = server.address();
    let body = vec![b'x'; 300_000];
    let put = exchange(address, "PUT /stage/key HTTP/1.1\r\n", &body).expect("an answer");
    assert_eq!(put.status, 200, "{put:?}");
    for round in 0..50 {
        for (head, sent, status, length) in [
            ("GET /stage/key", &b""[..], 200, body.len()),
            ("GET /__heartbeat__", b"", 200, 0),
            ("PUT /stage/other", b"small", 200, 0),
            ("DELETE /stage/other", b"", 204, 0),
        ] {
            let mut client = Connection::open(address);
            let length_header = format!("Content-Length: {}\r\n", sent.len());
            let mut request =
                format!("{head} HTTP/1.1\r\nHost: {address}\r\n{length_header}\r\n").into_bytes();
            request.extend_from_slice(sent);
            client.send(&request).expect("the server reads");
            client.finish_sending().expect("half of it closes");
            let answer = client.answer(true).unwrap_or_else(|error| panic!("{head}, round {round}: {error}"));
            assert_eq!(answer.status, status, "{head}: {answer:?}");
            assert!(length == 0 || answer.body.len() == length, "{head}: {} bytes", answer.body.len());
        }
    }
}
