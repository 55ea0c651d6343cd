//! What a server holds, compared with what its writers know.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::BUCKET;
use super::content::Content;
use super::http::{self, Connection};
use super::writer::{Held, Writer};

/// Reads every key and compares it with what it may hold; then nothing is in doubt any more. Gives
/// how many objects there are.
pub(crate) fn verify(address: SocketAddr, writers: &mut [Writer], when: &str) -> usize {
    let mut connection = Connection::open(address);
    let mut present = 0;
    for (key, held) in writers.iter_mut().flat_map(Writer::keys) {
        let request = format!("GET /{BUCKET}/{key} HTTP/1.1\r\nHost: stage\r\n\r\n");
        connection.send(request.as_bytes()).expect("the server reads");
        let answer = connection.answer(true).expect("an answer");
        let fits = |state: &Option<Content>| match (answer.status, state) {
            (404, None) => true,
            (200, Some(content)) => {
                answer.body == content.bytes() && answer.header("etag") == Some(&content.etag())
            }
            _ => false,
        };
        let states: Vec<_> = std::iter::once(&held.acknowledged).chain(&held.asked).collect();
        let Some(state) = states.iter().find(|state| fits(state)) else {
            let got = (answer.status, answer.body.len(), answer.header("etag"));
            panic!("{when}: {key} is {got:?}, and may be one of {states:?}");
        };
        present += usize::from(state.is_some());
        *held = Held { acknowledged: (*state).clone(), asked: Vec::new() };
    }
    present
}

/// Compares the listing with what the writers hold, key by key.
pub(crate) fn verify_listing(address: SocketAddr, writers: &mut [Writer], when: &str) {
    let answer = http::get(address, &format!("/{BUCKET}?list-type=2"));
    let text = String::from_utf8_lossy(&answer.body);
    let element = |entry: &str, name: &str| -> Option<String> {
        let (_, rest) = entry.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.replace("&quot;", "\""))
    };
    let listed: BTreeMap<_, _> = text
        .split("<Contents>")
        .skip(1)
        .filter_map(|entry| {
            Some((element(entry, "Key")?, (element(entry, "Size")?, element(entry, "ETag")?)))
        })
        .collect();
    let held: BTreeMap<_, _> = writers
        .iter_mut()
        .flat_map(Writer::keys)
        .filter_map(|(key, held)| Some((key.clone(), held.acknowledged.as_ref()?)))
        .map(|(key, content)| (key, (content.size.to_string(), content.etag())))
        .collect();
    assert_eq!(listed, held, "{when}");
}
