//! Who has to go, and who may have how much. What becomes of connections is in `server/tests.rs`.

use std::net::IpAddr;

use super::{Crowd, Seat, Wish, spare};
use crate::protocol::meter::Connections;
use crate::server::{Cidr, Limits};

fn crowd(transfers: usize, per_peer: Option<usize>) -> Crowd {
    let limits = Limits { connections_max: transfers, connections_per_peer: per_peer, ..Limits::default() };
    let trusted = vec![Cidr::parse("192.0.2.1/32").expect("a range")];
    Crowd::new(&limits, trusted, Connections::default())
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn sit(crowd: &Crowd, from: &str) -> Seat {
    crowd.admit(address(from)).expect("a place")
}

/// Whether the connection was told to go.
fn is_shed(seat: &Seat) -> bool {
    seat.place.shed.is_closed()
}

#[tokio::test]
async fn who_was_idle_longest_goes_and_nobody_with_a_request_does() {
    let crowd = crowd(1, None);
    let seats: Vec<_> = (0..=(2 * spare(1))).map(|_| sit(&crowd, "127.0.0.1")).collect();
    assert!(!seats.iter().any(is_shed), "there is room for all");
    let turn = seats[0].turn(Wish::Transfer).await.expect("a turn");
    let first = sit(&crowd, "127.0.0.1");
    assert!(!is_shed(&seats[0]) && is_shed(&seats[1]) && !is_shed(&seats[2]));
    drop(turn);
    let _second = sit(&crowd, "127.0.0.1");
    assert!(!is_shed(&seats[0]) && is_shed(&seats[2]) && !is_shed(&first));
    assert!(seats[2].turn(Wish::Short).await.is_none(), "a request comes too late");
    // Those that went have made room, whether or not they are gone already.
    assert_eq!(crowd.alive(), seats.len() + 2);
    drop((seats, first));
    assert_eq!(crowd.alive(), 1);
}

#[tokio::test]
async fn one_address_has_its_share_of_turns_and_connections() {
    for (from, same, limited) in [
        ("198.51.100.1", "198.51.100.1", true),
        ("2001:db8::1", "2001:db8::2", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
        ("127.0.0.1", "127.0.0.1", false),
        ("::1", "::1", false),
        ("192.0.2.1", "192.0.2.1", false),
    ] {
        let crowd = crowd(64, Some(1));
        let (first, second) = (sit(&crowd, from), sit(&crowd, same));
        let _turn = first.turn(Wish::Short).await.expect("a turn");
        let waits = tokio::select! {
            biased;
            turn = second.turn(Wish::Short) => { assert!(turn.is_some(), "{from}"); false }
            () = tokio::task::yield_now() => true,
        };
        assert_eq!(waits, limited, "{from}");
        assert!(second.turn(Wish::Health).await.is_some(), "health, {from}");
        // Beyond its share of connections its own idle ones make room, and not another's.
        let other = sit(&crowd, "203.0.113.9");
        let more: Vec<_> = (0..spare(64)).map(|_| sit(&crowd, same)).collect();
        assert!(!is_shed(&other), "{from}");
        assert_eq!(is_shed(&second), limited, "{from}");
        drop(more);
    }
}
